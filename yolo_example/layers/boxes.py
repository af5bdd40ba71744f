"""The layer that finds boxes in the heads of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from plugrt.plugins import (
    Combination,
    DataType,
    Format,
    LayerPlugin,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
    attribute,
    format_shape,
)

from .anchor_layer import AnchorLayer
from .boxes_reference import find_boxes
from .detection_layer import BOX_VALUES, NMS_KINDS
from .head_descriptions import described_head
from .kernels import kernel

GREEDY_POWER = 0.6
"""That of the kind greedynms."""

LEAST_CAPACITY, MOST_CAPACITY = 128, 2048
"""What fits into the shared memory of any GPU."""


def suppression_power(kind: str, beta: float) -> float:
    """The power of the distance in a kind of suppression; 0 where it does not count."""
    return {"greedynms": GREEDY_POWER, "diounms": beta}.get(kind, 0.0)


class Boxes(LayerPlugin):
    """values [N, C, height, width], as the last convolution before a region or yolo layer leaves
    them, one tensor for each of `heads` -> boxes float32 [N, limit, 6], counts int64 [N].

    Rows are centre, width and height relative to the network's input, score and class, the
    highest score first; behind the first `counts[n]` they are 0. They are the boxes whose
    objectness and score exceed `threshold`, without those that overlap a surer one of their
    class by more than `overlap`: intersection over union, changed as `nms_kind` says (see
    `suppress_overlaps`). Of more than `capacity` boxes of an image those with the highest
    scores are compared.

    On a GPU all of it is two kernels.
    """

    type = "Darknet.Boxes"
    input_names = ("values", "further*")
    recordable = True
    devices = ("cpu", "cuda")
    streamed_outputs = frozenset({0, 1})
    typical_floats = (-9.0, 3.0)  # most boxes are empty

    heads: attribute[tuple[str, ...]] = attribute(
        tuple[str, ...],
        doc="for each input the layer that would activate it, as `describe_head` writes it",
        allowed=lambda heads: len(heads) > 0,
        rule="one description or more",
    )
    threshold = attribute(
        float, 0.25, "scores must exceed it", allowed=lambda t: 0 <= t <= 1, rule="0 to 1"
    )
    overlap = attribute(
        float, 0.45, "greatest overlap that is tolerated",
        allowed=lambda t: 0 <= t <= 1, rule="0 to 1",
    )  # fmt: skip
    nms_kind = attribute(str, "default", "how overlaps are measured", allowed=NMS_KINDS)
    beta_nms = attribute(
        float, 0.6, "power of the distance in diounms",
        allowed=lambda power: power > 0, rule="a number above 0",
    )  # fmt: skip
    limit = attribute(
        int, 256, "most boxes of an image", allowed=lambda n: n > 0, rule="a number above 0"
    )
    capacity = attribute(
        int, 2048, "most boxes of an image that are compared",
        allowed=lambda n: LEAST_CAPACITY <= n <= MOST_CAPACITY and n & (n - 1) == 0,
        rule=f"a power of two from {LEAST_CAPACITY} to {MOST_CAPACITY}",
    )  # fmt: skip
    names: attribute[tuple[str, ...]] = attribute(
        tuple[str, ...], (), "names of the classes, for people"
    )

    def getNbOutputs(self) -> int:
        return 2

    @cached_property
    def layers(self) -> tuple[AnchorLayer, ...]:
        """The layers that `heads` describes. Raises LayerAttributeError for one that is none,
        or whose boxes this layer cannot find."""
        return tuple(described_head(self.type, text) for text in self.heads)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.layers[0].classes

    @property
    def power(self) -> float:
        """The power of the distance when overlaps are measured, or 0."""
        return suppression_power(self.nms_kind, self.beta_nms)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        if len(inputs) != len(self.layers):
            raise ShapeError(
                f"{self.type}: {len(inputs)} inputs for {len(self.layers)} heads; give one each"
            )
        for layer, desc in zip(self.layers, inputs, strict=True):
            layer.getOutputDimensions(0, [desc])
        classes = sorted({layer.classes for layer in self.layers})
        if len(classes) > 1:
            raise ShapeError(
                f"{self.type}: the heads have {' and '.join(map(str, classes))} classes; use a "
                "layer for each kind"
            )
        images = [desc.shape[0] for desc in inputs]
        if len({n for n in images if isinstance(n, int)}) > 1:
            shapes = ", ".join(format_shape(desc.shape) for desc in inputs)
            raise ShapeError(f"{self.type}: the inputs {shapes} have unequal batches")
        return (images[0], self.limit, BOX_VALUES) if index == 0 else (images[0],)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return DataType.FLOAT32 if index == 0 else DataType.INT64

    def supportsFormat(self, combination: Combination) -> bool:
        if combination.device == "cuda":
            from . import boxes_cuda

            return boxes_cuda.takes(combination.inputs, combination.outputs)
        tensors = (*combination.inputs, *combination.outputs)
        plain = all(d.format is Format.LINEAR and d.quantization is None for d in tensors)
        types = [d.dtype for d in tensors]
        return plain and types == [DataType.FLOAT32] * len(types[:-1]) + [DataType.INT64]

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.epilogue:
            return ()
        if request.device == "cuda":
            from . import boxes_cuda

            return boxes_cuda.tactics(self, request)
        return (Tactic("native"),)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        if self.tactic.name.startswith("cuda"):
            from . import boxes_cuda

            return boxes_cuda.workspace_size(self, [desc.sizes for desc in inputs])
        return _Workspace(self, [desc.sizes for desc in inputs]).size

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        if stream.device == "cuda":
            from . import boxes_cuda

            boxes_cuda.record(self, inputs, outputs[0], outputs[1], workspace, stream)
            return
        if workspace is None:  # there are no images
            return
        space = _Workspace(self, [view.shape for view in inputs])
        images, room, heads = inputs[0].shape[0], self.capacity + 1, len(inputs)
        rows, found = space.view(workspace, "rows"), space.view(workspace, "found")
        for number, (layer, values) in enumerate(zip(self.layers, inputs, strict=True)):
            _, _, height, width = values.shape
            activated = space.view(workspace, f"values {number}")
            layer.enqueue([values], [activated], None, stream)
            sizes = np.ascontiguousarray(layer.relative_sizes(height, width), np.float32)
            held = stream.store.pack(("Darknet.sizes", sizes.tobytes()), sizes.copy)
            planes = layer.planes
            stream.launch(
                kernel("yolo_decode_head"), activated, held,
                _moved(rows, number * room * BOX_VALUES * 4), _moved(found, number * 8),
                images, layer.anchor_count, planes.count, height, width, planes.objectness,
                planes.first_class, planes.count - planes.first_class, room, heads,
                int(layer.squared_sizes), self.threshold,
            )  # fmt: skip
        stream.launch(
            kernel("yolo_keep_boxes"), rows, found, space.view(workspace, "merged"), outputs[0],
            outputs[1], images, heads, self.capacity, self.limit, self.overlap, self.power,
        )  # fmt: skip

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return find_boxes(
            self.layers, inputs, threshold=self.threshold, overlap=self.overlap,
            power=self.power, capacity=self.capacity, limit=self.limit,
        )  # fmt: skip

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        from .boxes_examples import examples

        return examples()


class _Workspace:
    """What the kernels for the CPU have there, one behind the other."""

    def __init__(self, layer: Boxes, shapes: Sequence[tuple[int, ...]]) -> None:
        images, heads, room = shapes[0][0], len(shapes), layer.capacity + 1
        self._descs = {f"values {k}": TensorDesc(DataType.FLOAT32, s) for k, s in enumerate(shapes)}
        self._descs["rows"] = TensorDesc(DataType.FLOAT32, (images, heads, room, BOX_VALUES))
        self._descs["merged"] = TensorDesc(DataType.FLOAT32, (images, 2, room, BOX_VALUES))
        self._descs["found"] = TensorDesc(DataType.INT64, (images, heads))
        self._offsets: dict[str, int] = {}
        self.size = 0
        for name, desc in self._descs.items():
            self._offsets[name] = self.size
            self.size += -(-desc.nbytes // desc.alignment) * desc.alignment

    def view(self, workspace: TensorView, name: str) -> TensorView:
        """One of them in the workspace."""
        return TensorView(
            self._descs[name], workspace.slot, workspace.offset + self._offsets[name]
        )


def _moved(view: TensorView, nbytes: int) -> TensorView:
    return TensorView(view.desc, view.slot, view.offset + nbytes)
