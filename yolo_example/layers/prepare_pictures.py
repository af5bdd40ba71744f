"""The layer that makes pictures as large as a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plugrt.plugins import (
    Array,
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
    attribute,
    format_shape,
)

from ..preparation import Preparation
from ..preparation.placement import Placement
from ..preparation.preparing import CHANNELS, resizing_rules
from ..preparation.reference import prepared
from .kernels import kernel

DEPTHS = (3, 4)
"""Bytes of a pixel; the fourth means nothing."""


class PreparePictures(LayerPlugin):
    """pictures uint8 [N, H, W, 3 or 4], red first -> float32 [N, channels, height, width], values
    from 0 to 1, whatever H and W; one channel is luminance.

    `preparation` is a kind of `yolo_example.preparation.Preparation`: "stretched", "letter-box"
    or "centre-crop". On a GPU resizing, scaling and the network's type and format are one kernel.
    """

    type = "Darknet.PreparePictures"
    input_names = ("pictures",)
    recordable = True
    devices = ("cpu", "cuda")

    height: attribute[int] = attribute(
        int, doc="of the network's input", allowed=lambda n: n > 0, rule="a number above 0"
    )
    width: attribute[int] = attribute(
        int, doc="of the network's input", allowed=lambda n: n > 0, rule="a number above 0"
    )
    channels = attribute(int, 3, "3 for colors, 1 for luminance", allowed=CHANNELS)
    preparation = attribute(
        str, Preparation.STRETCHED.value, "how a picture becomes as large as the input",
        allowed=tuple(kind.value for kind in Preparation),
    )  # fmt: skip

    @property
    def kind(self) -> Preparation:
        """The attribute `preparation`."""
        return Preparation(self.preparation)

    def placement(self, picture_height: int, picture_width: int) -> Placement:
        """Where a picture of this size lies in the network's input."""
        place = self.kind.place(picture_height, picture_width, self.height, self.width)
        return place.placement(self.height, self.width)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        if len(shape) != 4 or (isinstance(shape[3], int) and shape[3] not in DEPTHS):
            raise ShapeError(
                f"{self.type}: the input is {format_shape(shape)}; give pictures [N, height, "
                "width, 3 or 4]"
            )
        if 0 in shape[1:3]:
            raise ShapeError(f"{self.type}: pictures {format_shape(shape)} have no pixels")
        return (shape[0], self.channels, self.height, self.width)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        if inputTypes[0] is not DataType.UINT8:
            raise ShapeError(
                f"{self.type}: pictures are {inputTypes[0].value}; give uint8, red first"
            )
        return DataType.FLOAT32

    def supportsFormat(self, combination: Combination) -> bool:
        (source,), (output,) = combination.inputs, combination.outputs
        if combination.device == "cuda":
            from ..preparation import prepare_cuda

            return prepare_cuda.takes(source, output)
        plain = source.format is output.format is Format.LINEAR
        types = (source.dtype, output.dtype) == (DataType.UINT8, DataType.FLOAT32)
        return plain and types and source.quantization is output.quantization is None

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.epilogue:
            return ()
        if request.device == "cuda":
            from ..preparation import prepare_cuda

            return prepare_cuda.tactics(request.inputs[0])
        return (Tactic("native"),)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        if stream.device == "cuda":
            from ..preparation import prepare_cuda

            prepare_cuda.record(inputs[0], self.kind, outputs[0], stream)
            return
        images, rows, columns, depth = inputs[0].shape
        place = self.kind.place(rows, columns, self.height, self.width)
        stream.launch(
            kernel("yolo_prepare_pictures"), inputs[0], outputs[0], images, rows, columns, depth,
            self.channels, self.height, self.width,
            (place.height, place.width, place.top, place.left), *resizing_rules(self.kind),
        )  # fmt: skip

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        shape = (self.channels, self.height, self.width)
        pictures: list[Array] = [prepared(one, self.kind, *shape) for one in inputs[0]]
        return [np.array(pictures, np.float32).reshape(-1, *shape)]

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        random = np.random.default_rng(2)
        size: dict[str, Any] = {"height": 14, "width": 18}

        def pictures(*shape: int) -> Array:
            return random.integers(0, 256, shape).astype(np.uint8)

        cases: list[dict[str, Any]] = [{"inputs": [pictures(2, 33, 21, 3)], "attributes": size}]
        for kind in Preparation:
            how = {**size, "preparation": kind.value}
            cases.append({"inputs": [pictures(2, 10, 47, 4)], "attributes": how})
            grey = {**how, "channels": 1}
            cases.append({"inputs": [pictures(1, 31, 20, 3)], "attributes": grey})
        cases.append({"inputs": [pictures(1, 1, 5, 3)], "attributes": how})
        return cases
