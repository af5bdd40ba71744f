"""Boxes out of heads' values on a GPU, in two kernels: one lists what exceeds the threshold, the
other suppresses boxes found twice."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from plugrt.plugins import (
    DataType,
    Format,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)
from plugrt.plugins.native.cuda.expression_source import STORED_TYPES
from plugrt.plugins.native.cuda.headers import divisors

from ..cuda_kernels import kernel
from .anchor_layer import LOGISTIC, SCALE, AnchorLayer, Planes
from .detection_layer import BOX_VALUES

if TYPE_CHECKING:
    from .boxes import Boxes

TYPES = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)
FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

LIST_FILE, KEEP_FILE = "layers/list_candidates.cu", "layers/keep_boxes.cu"
LIST_THREADS, LIST_BOXES, LIST_ROOM = 256, 64, 128
THREADS = 512
MOST_HEADS = 8
MOST_IMAGES = 65535
"""What one grid counts."""
MOST_CANDIDATES = 1 << 32
"""Every class of every box of an image has a number of 32 bits."""
MOST_ELEMENTS = 1 << 31
"""Of one image: places in it have 32 bits."""

_CENTRE_LOGISTIC, _OBJECTNESS_LOGISTIC, _CLASSES_LOGISTIC, _SQUARED = 1, 2, 4, 8
_NUMBERS, _EXTENTS, _SCALING, _STRIDES = 9, 2, 2, 3
VALUES = "T" * (MOST_HEADS + 1)
"""The heads' values and the sizes of their anchors."""
HEADS = (
    f"{_NUMBERS * MOST_HEADS}i{3 * _EXTENTS * MOST_HEADS}I{_SCALING * MOST_HEADS}f"
    f"{_STRIDES * MOST_HEADS}i{MOST_HEADS}qiiif"
)
"""What is told of the heads, their number, that of classes and of boxes, and the threshold."""

_KEY_BYTES, _COUNT_BYTES, _CANDIDATE_BYTES = 8, 4, 32
_ROW_BYTES = 4 * BOX_VALUES


def takes(sources: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> bool:
    """Whether the kernel reads and writes such tensors: any floats, all of one type, in; plain
    tensors of their own types out."""
    boxes, counts = outputs
    return (
        {d.dtype for d in sources} <= {sources[0].dtype} & set(TYPES)
        and all(d.format in FORMATS and d.quantization is None for d in sources)
        and (boxes.dtype, boxes.format) == (DataType.FLOAT32, Format.LINEAR)
        and (counts.dtype, counts.format) == (DataType.INT64, Format.LINEAR)
    )


def tactics(layer: Boxes, request: TacticRequest) -> Sequence[Tactic]:
    """The kernel's tactic where it computes the request."""
    sources = request.inputs
    boxes = sum(
        head.anchor_count * prod(desc.sizes[2:])
        for head, desc in zip(layer.layers, sources, strict=True)
    )
    fits = len(sources) <= MOST_HEADS and 0 < boxes * layer.classes < MOST_CANDIDATES
    fits = fits and sources[0].sizes[0] <= MOST_IMAGES
    if not fits or any(_reach(desc) >= MOST_ELEMENTS for desc in sources):
        return ()
    return (Tactic("cuda", strided_inputs=frozenset(range(len(sources)))),)


def workspace_size(layer: Boxes, shapes: Sequence[tuple[int, ...]]) -> int:
    """Scratch bytes for the lists of candidates, their lengths, and the boxes kept."""
    images = shapes[0][0]
    lists = images * _list_count(layer, shapes)
    return lists * (LIST_ROOM * _CANDIDATE_BYTES + _COUNT_BYTES) + images * layer.limit * _ROW_BYTES


def record(
    layer: Boxes, inputs: Sequence[TensorView], boxes: TensorView, counts: TensorView,
    workspace: TensorView | None, stream: Stream,
) -> None:  # fmt: skip
    """Put the layer on the stream; `workspace` has `workspace_size` bytes.

    Raises ShapeError for inputs in larger tensors, where places need more than 31 bits.
    """
    if workspace is None:  # there are no images
        return
    _check_reach(layer, inputs)
    numbers: list[int] = []
    extents: list[int] = []
    scaling: list[float] = []
    strides: list[int] = []
    sizes = []
    box = anchor = block = 0
    for head, values in zip(layer.layers, inputs, strict=True):
        _, _, height, width = values.shape
        numbers += (*_numbers(head, height), box, anchor, block)
        extents += divisors((head.anchor_count, width))
        scaling += _scaling(head)
        strides += values.desc.element_strides[1:]
        sizes.append(np.asarray(head.relative_sizes(height, width), np.float32))
        anchor += head.anchor_count
        box += head.anchor_count * height * width
        block += _blocks(head, values.shape)
    of_anchors = np.concatenate(sizes)
    held = stream.store.pack(("Darknet.sizes", of_anchors.tobytes()), of_anchors.copy)
    absent = [inputs[0]] * (MOST_HEADS - len(inputs))
    images, limit, _ = boxes.shape
    count = images * block
    lists, rows, list_counts = (
        TensorView(TensorDesc(DataType.UINT8, (1,)), workspace.slot, workspace.offset + begin)
        for begin in (
            0, count * LIST_ROOM * _CANDIDATE_BYTES,
            count * LIST_ROOM * _CANDIDATE_BYTES + images * limit * _ROW_BYTES,
        )
    )  # fmt: skip
    heads = (
        numbers, extents, scaling, strides, [values.desc.element_strides[0] for values in inputs],
        len(inputs), layer.classes, box, layer.threshold,
    )  # fmt: skip
    stored = STORED_TYPES[inputs[0].dtype]
    stream.launch_grid(
        kernel(LIST_FILE, f"list_candidates<{stored}>", f"{VALUES}TT{HEADS}"), (block, images),
        (LIST_THREADS,), *inputs, *absent, held, lists, list_counts, *heads,
    )  # fmt: skip
    stream.launch_grid(
        kernel(KEEP_FILE, f"keep_boxes<{stored}>", f"{VALUES}5T{HEADS}iIIff"), (images,),
        (THREADS,), *inputs, *absent, held, lists, list_counts, rows, boxes, counts, *heads, block,
        layer.capacity, limit, layer.overlap, layer.power,
        shared_bytes=layer.capacity * _KEY_BYTES,
    )  # fmt: skip


def _blocks(head: AnchorLayer, shape: tuple[int, ...]) -> int:
    """Blocks that list the candidates of one image."""
    return -(-head.anchor_count * shape[2] * shape[3] // LIST_BOXES)


def _list_count(layer: Boxes, shapes: Sequence[tuple[int, ...]]) -> int:
    return sum(_blocks(head, shape) for head, shape in zip(layer.layers, shapes, strict=True))


def _numbers(head: AnchorLayer, height: int) -> list[int]:
    """The kernels' struct Numbers, without what depends on the heads before."""
    planes = head.planes
    flags = _SQUARED if head.squared_sizes else 0
    if _rule(planes, 0) & LOGISTIC:
        flags |= _CENTRE_LOGISTIC
    if planes.objectness >= 0 and _rule(planes, planes.objectness) & LOGISTIC:
        flags |= _OBJECTNESS_LOGISTIC
    if _rule(planes, planes.first_class) & LOGISTIC:
        flags |= _CLASSES_LOGISTIC
    return [
        planes.count, height, planes.objectness, planes.first_class, planes.softmax, flags,
    ]  # fmt: skip


def _scaling(head: AnchorLayer) -> tuple[float, float]:
    if not _rule(head.planes, 0) & SCALE:
        return (1.0, 0.0)
    return (head.scale_x_y, -0.5 * (head.scale_x_y - 1))


def _rule(planes: Planes, index: int) -> int:
    """How a plane is activated, softmax apart."""
    return next((rule for end, rule in planes.runs if index < end), 0)


def _check_reach(layer: Boxes, inputs: Sequence[TensorView]) -> None:
    """`tactics` has seen the inputs before they were placed."""
    for number, values in enumerate(inputs):
        reach = _reach(values.desc)
        if reach >= MOST_ELEMENTS:
            raise ShapeError(
                f"{layer.type}: an image of input {number} reaches over {reach:,} elements of the "
                f"tensor that it lies in; its kernels count up to {MOST_ELEMENTS - 1:,}: do not "
                "concatenate it, or use smaller pictures"
            )


def _reach(desc: TensorDesc) -> int:
    """Elements from the first to the last one of an image."""
    pairs = zip(desc.sizes[1:], desc.element_strides[1:], strict=True)
    return sum((size - 1) * stride for size, stride in pairs)
