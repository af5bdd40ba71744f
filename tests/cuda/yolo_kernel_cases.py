"""The cases that yolo_example's CUDA kernels are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from plugrt.plugins import Array, DataType, Format
from tests.cuda.kernel_harness import KernelCase, case
from yolo_example.layers import anchor_cuda, boxes_cuda, reorg_cuda
from yolo_example.layers.boxes import Boxes
from yolo_example.layers.channel_normalization import ChannelNormalization
from yolo_example.layers.gaussian_yolo import GaussianYolo
from yolo_example.layers.head_descriptions import describe_head
from yolo_example.layers.prepare_pictures import PreparePictures
from yolo_example.layers.region import Region
from yolo_example.layers.reorg import Reorg
from yolo_example.layers.tree_softmax import TreeSoftmax
from yolo_example.layers.yolo import Yolo
from yolo_example.layers.yolo_v1 import YoloV1
from yolo_example.preparation import Preparation

LINEAR, LAST = Format.LINEAR, Format.CHANNELS_LAST


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

    rng = np.random.default_rng(9)
    for (height, width), how, channels in product(
        ((33, 97), (90, 31), (1, 5), (300, 420)), Preparation, (3, 1)
    ):
        pictures = rng.integers(0, 256, (2, height, width, 3)).astype(np.uint8)
        layer = PreparePictures(channels=channels, height=40, width=56, preparation=how.value)
        for form, dtype in ((LINEAR, DataType.FLOAT32), (LAST, DataType.FLOAT16)):
            yield case(
                f"{how.value}-{height}x{width}-{channels}-{dtype.value}", layer, [pictures],
                enqueue, output_dtype=dtype, form=form, input_form=LINEAR,
                tolerance=None if dtype is DataType.FLOAT16 else 2e-5,
            )  # fmt: skip


def boxes_cases() -> Iterator[KernelCase]:
    """Boxes out of values, and their suppression."""

    def enqueue(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        layer.enqueue(inputs, outputs, workspace, stream)

    rng = np.random.default_rng(11)
    yolo = Yolo(classes=3, anchors=(100, 130, 160, 300))
    region = Region(classes=3, anchors=(2.5, 3.5, 4.0, 2.0))
    for layers, side, more in (
        ((yolo,), 5, {}), ((yolo,), 13, {"nms_kind": "diounms"}), ((region, yolo), 26, {}),
        ((yolo,), 52, {"capacity": 256, "threshold": 0.2}), ((yolo,) * 8, 3, {}),
        ((yolo,), 6, {"threshold": 0.0}),
        # Several chunks of candidates: later ones are compared with the rows of those before.
        ((yolo,), CROWD, {"limit": 600, "threshold": 0.2}),
        ((yolo,), CROWD, {"limit": 300, "threshold": 0.2, "capacity": 512}),
    ):  # fmt: skip
        attributes = {"threshold": 0.5, "limit": 40, **more}
        layer = Boxes(heads=tuple(map(describe_head, layers)), **attributes)

        def scratch(descs: Any, layer: Boxes = layer) -> int:
            return boxes_cuda.workspace_size(layer, [desc.sizes for desc in descs])

        arrays = [crowd()] if side == CROWD else [
            rng.standard_normal((2, 16, side * k, side * k)).astype(np.float32)
            for k, _ in enumerate(layers, 1)
        ]  # fmt: skip
        for dtype, form in ((DataType.FLOAT32, LINEAR), (DataType.FLOAT16, LAST)):
            yield case(
                f"{len(layers)}-{side}-{attributes['limit']}-{dtype.value}", layer, arrays, enqueue,
                dtype=dtype, input_form=form, tolerance=1e-5, workspace=scratch,
            )  # fmt: skip


CROWD = 20
"""Rows and columns of `crowd`."""


def crowd() -> Array:
    """Values [2, 16, CROWD, CROWD] of a head with two anchors and three classes: every box is a
    candidate of one class, and scores are so far apart that rounding does not reorder them."""
    rng = np.random.default_rng(33)
    boxes = 2 * CROWD * CROWD
    values = rng.standard_normal((2, 2, 8, CROWD, CROWD)).astype(np.float32)
    scores = np.stack([rng.permutation(np.linspace(0.3, 0.9, boxes)) for _ in range(2)])
    logits = np.log(scores / (1 - scores)).reshape(2, 2, 1, CROWD, CROWD)
    labels = rng.integers(0, 3, logits.shape)
    values[:, :, 4] = 20
    values[:, :, 5:] = -20
    np.put_along_axis(values[:, :, 5:], labels, logits.astype(np.float32), axis=2)
    return values.reshape(2, 16, CROWD, CROWD)
