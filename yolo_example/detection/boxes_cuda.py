"""Detection on a GPU, inside the graph: boxes out of the heads' values, and the suppression of
those found twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plugrt.plugins import DataType, ShapeError, Stream, TensorDesc, TensorView
from plugrt.plugins.native.cuda.expression_source import STORED_TYPES

from ..cuda_kernels import THREADS, blocks, kernel
from ..layers.anchor_layer import AnchorLayer

FILE = "detection/boxes.cu"
ROW_VALUES = 6

Head = tuple[AnchorLayer, TensorView]
"""A layer and its activated values [N, C, height, width], of any float type and strides."""

_KEY_BYTES = 16
_ROW_BYTES = ROW_VALUES * 4


def supports(layer: AnchorLayer) -> bool:
    """Whether its boxes are found on the GPU: no uncertainties, no tree of classes."""
    planes = layer.planes
    return not planes.uncertain and planes.step == 1 and layer.native_tree() is None


def workspace_size(images: int, capacity: int) -> int:
    """Scratch bytes for `capacity` boxes per image before suppression, a power of two."""
    return images * (capacity * (_KEY_BYTES + _ROW_BYTES) + 4)


def record(
    heads: Sequence[Head], kept: TensorView, counts: TensorView, workspace: TensorView, *,
    capacity: int, threshold: float, overlap: float, power: float = 0.0, stream: Stream,
) -> None:
    """Put on the stream what fills `kept`, float32 [N, limit, 6], with rows of x, y, width,
    height (relative to the network's input), score and class, the highest score first, and
    `counts`, int64 [N].

    Of more than `capacity` boxes of an image above `threshold` any may be lost: choose a
    generous power of two. `overlap` and `power` as for `suppress_overlaps`. Raises ShapeError
    for a head that `supports` refuses.
    """
    images, limit, _ = kept.shape
    if capacity & (capacity - 1):
        raise ShapeError(f"a capacity of {capacity} boxes is no power of two")
    keys, rows, found = (
        TensorView(TensorDesc(DataType.UINT8, (1,)), workspace.slot, workspace.offset + begin)
        for begin in (
            0, images * capacity * _KEY_BYTES, images * capacity * (_KEY_BYTES + _ROW_BYTES)
        )
    )  # fmt: skip
    stream.launch_grid(
        kernel(FILE, "start_lists", "TI"), blocks(images), (THREADS,), found, images
    )
    order = 0
    for layer, values in heads:
        order = _record_head(
            layer, values, (rows, keys, found), capacity, threshold, order, stream
        )
    stream.launch_grid(
        kernel(FILE, "suppress_boxes", "TTTTTIIff"), (images,), (THREADS,),
        rows, keys, found, kept, counts, capacity, limit, overlap, power,
    )  # fmt: skip


def _record_head(
    layer: AnchorLayer, values: TensorView, lists: tuple[TensorView, ...], capacity: int,
    threshold: float, order: int, stream: Stream,
) -> int:
    """Add a head's boxes to the lists; returns the place in the order behind it."""
    if not supports(layer):
        raise ShapeError(f"{layer.type}: boxes of this kind are found on the CPU; use `decode`")
    images, _, height, width = values.shape
    planes, anchors = layer.planes, layer.anchor_count
    classes = planes.count - planes.first_class
    sizes = np.ascontiguousarray(layer.relative_sizes(height, width), np.float32)
    held = stream.store.pack(("Darknet.sizes", sizes.tobytes()), lambda: sizes)
    cells = (
        anchors, planes.count, height, width, planes.objectness, planes.first_class, classes,
        int(layer.squared_sizes),
    )  # fmt: skip
    count = images * anchors * height * width
    stream.launch_grid(
        kernel(FILE, f"decode_cells<{STORED_TYPES[values.dtype]}>", "TTTTTI8iffII4q"),
        blocks(count), (THREADS,), values, held, *lists, count, cells, threshold, layer.corner,
        order, capacity, values.desc.element_strides,
    )  # fmt: skip
    return order + anchors * height * width * classes
