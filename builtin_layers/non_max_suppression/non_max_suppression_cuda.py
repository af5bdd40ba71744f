"""NonMaxSuppression by our own CUDA kernels; its rows equal the CPU's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from ...plugins import DataType, Stream, Tactic, TensorDesc, TensorView
from ..kernels_cuda import THREADS, kernel

if TYPE_CHECKING:
    from .layer import NonMaxSuppression

TACTIC = Tactic("cuda")

FILE = "non_max_suppression/non_max_suppression.cu"

_KEY_BYTES = 8


def workspace_size(inputs: Sequence[TensorDesc]) -> int:
    """Scratch bytes: a sortable key for every score, and a count for every image and class."""
    images, classes, boxes = inputs[1].sizes
    groups = images * classes
    return groups * (capacity(boxes) * _KEY_BYTES + DataType.INT64.itemsize)


def capacity(boxes: int) -> int:
    """Keys of one image and class, a power of two."""
    return 1 << max(boxes - 1, 0).bit_length()


def record(
    layer: NonMaxSuppression, inputs: Sequence[TensorView], outputs: Sequence[TensorView],
    workspace: TensorView | None, stream: Stream,
) -> None:
    """Put the layer on the stream; `workspace` has `workspace_size` bytes."""
    boxes, scores = inputs
    images, classes, count = scores.shape
    groups = images * classes
    if workspace is None or not groups:
        stream.launch_grid(kernel(FILE, "write_zero", "T"), (1,), (1,), outputs[1])
        return
    room = capacity(count)
    keys = TensorView(TensorDesc(DataType.UINT64, (groups, room)), workspace.slot, workspace.offset)
    found = TensorView(
        TensorDesc(DataType.INT64, (groups,)), workspace.slot,
        workspace.offset + groups * room * _KEY_BYTES,
    )  # fmt: skip
    stream.launch_grid(
        kernel(FILE, "select_boxes", "TTTTiIIIffi"), (groups,), (THREADS,),
        boxes, scores, keys, found, classes, count, room, cast(int, layer.limit(count)),
        layer.iou_threshold, layer.score_threshold, int(layer.center_point_box),
    )  # fmt: skip
    stream.launch_grid(
        kernel(FILE, "write_boxes", "TTTTiI"), (groups,), (THREADS,),
        keys, found, *outputs, classes, room,
    )  # fmt: skip
