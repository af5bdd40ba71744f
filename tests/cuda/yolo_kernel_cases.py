"""The cases that yolo_example's CUDA kernels are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from plugrt.plugins import DataType, Format, LayerPlugin, attribute
from tests.cuda.kernel_harness import KernelCase, case
from yolo_example.detection import boxes_cuda
from yolo_example.detection.boxes import suppress_overlaps
from yolo_example.layers import anchor_cuda, reorg_cuda
from yolo_example.layers.channel_normalization import ChannelNormalization
from yolo_example.layers.gaussian_yolo import GaussianYolo
from yolo_example.layers.region import Region
from yolo_example.layers.reorg import Reorg
from yolo_example.layers.tree_softmax import TreeSoftmax
from yolo_example.layers.yolo import Yolo
from yolo_example.layers.yolo_v1 import YoloV1
from yolo_example.preparation import Preparation, prepare, prepare_cuda

LINEAR, LAST = Format.LINEAR, Format.CHANNELS_LAST


class Prepared(LayerPlugin):
    """A picture as `yolo_example.preparation` prepares it."""

    type = "Test.Prepared"
    channels = attribute(int, 3, "3 or 1")
    how = attribute(str, "letter-box", "a Preparation")

    def getOutputDimensions(self, index: int, inputs: Any) -> Any:
        return (1, self.channels, 40, 56)

    def getOutputDataType(self, index: int, inputTypes: Any) -> DataType:
        return DataType.FLOAT32

    def reference(self, inputs: Any) -> list[Any]:
        output = np.empty((self.channels, 40, 56), np.float32)
        prepare(inputs[0], Preparation(self.how), output)
        return [output[None]]


def yolo_cases() -> Iterator[KernelCase]:
    """Darknet's layers and the preparation of pictures."""

    def activate(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        anchor_cuda.record(layer, inputs[0], outputs[0], stream)

    def reorganise(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        reorg_cuda.record(layer, inputs[0], outputs[0], stream)

    def enqueue(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        layer.enqueue(inputs, outputs, workspace, stream)

    for kind, record in (
        (Yolo, activate), (Region, activate), (GaussianYolo, activate), (Reorg, reorganise),
        (ChannelNormalization, enqueue), (TreeSoftmax, enqueue), (YoloV1, enqueue),
    ):  # fmt: skip
        for number, example in enumerate(kind.exampleCases()):
            layer = kind(**example.get("attributes", {}))
            arrays = list(example["inputs"])
            yield case(f"{kind.type}-{number}", layer, arrays, record, tolerance=1e-5)
            if record is activate:
                yield case(
                    f"{kind.type}-{number}-half", layer, arrays, record, dtype=DataType.FLOAT16,
                    input_form=LAST, output_dtype=DataType.FLOAT32, tolerance=1e-5,
                )  # fmt: skip

    def prepared(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        prepare_cuda.record(inputs[0], Preparation(layer.how), outputs[0], 0, stream)

    rng = np.random.default_rng(9)
    for (height, width), how, channels in product(
        ((33, 97), (90, 31), (1, 5), (300, 420)), Preparation, (3, 1)
    ):
        picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        layer = Prepared(channels=channels, how=how.value)
        for form, dtype in ((LINEAR, DataType.FLOAT32), (LAST, DataType.FLOAT16)):
            yield case(
                f"{how.value}-{height}x{width}-{channels}-{dtype.value}", layer, [picture],
                prepared, output_dtype=dtype, form=form, input_form=LINEAR,
                tolerance=None if dtype is DataType.FLOAT16 else 2e-5,
            )  # fmt: skip


class Found(LayerPlugin):
    """The boxes of a yolo head after suppression, and their number."""

    type = "Test.Found"
    input_names = ("values",)
    power = attribute(float, 0.0, "the penalty's power")
    limit = 40

    def getNbOutputs(self) -> int:
        return 2

    def getOutputDimensions(self, index: int, inputs: Any) -> Any:
        return (inputs[0].shape[0], self.limit, 6) if index == 0 else (inputs[0].shape[0],)

    def getOutputDataType(self, index: int, inputTypes: Any) -> DataType:
        return DataType.FLOAT32 if index == 0 else DataType.INT64

    def head(self) -> Yolo:
        """The layer whose values these are."""
        return Yolo(classes=3, anchors=(100, 130, 160, 300), scale_x_y=1.0)

    def reference(self, inputs: Any) -> list[Any]:
        rows = np.zeros((len(inputs[0]), self.limit, 6), np.float32)
        counts = np.zeros(len(inputs[0]), np.int64)
        for image, values_of_one in enumerate(inputs[0]):
            boxes = self.head().decode(np.ascontiguousarray(values_of_one), 0.3)
            kind = "diounms" if self.power else "default"
            kept = suppress_overlaps(boxes, 0.45, kind, self.power)[: self.limit]
            rows[image, : len(kept)] = kept
            counts[image] = len(kept)
        return [rows, counts]


def boxes_cases() -> Iterator[KernelCase]:
    """Boxes out of values, and their suppression."""

    def record(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        boxes_cuda.record(
            [(layer.head(), inputs[0])], *outputs, workspace, capacity=4096,
            threshold=0.3, overlap=0.45, power=layer.power, stream=stream,
        )  # fmt: skip

    rng = np.random.default_rng(11)
    for side, power in ((5, 0.0), (13, 0.0), (13, 0.6), (26, 0.0)):
        given = rng.random((2, 16, side, side)).astype(np.float32)
        yield case(
            f"{side}-{power}", Found(power=power), [given], record, tolerance=1e-5,
            workspace=lambda descs: boxes_cuda.workspace_size(descs[0].sizes[0], 4096),
        )  # fmt: skip
