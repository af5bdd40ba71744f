"""Pooling by our own C kernels: every format, float32, bfloat16, int8 and uint8, gaps in and out.

One tactic; which of the loops in points.h, planes.h, lines.h, flats.h and wholes.h runs follows
from the shapes (windows.c).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...plugins import BLOCK, DataType, Format, Quantization, Stream, Tactic, TensorDesc, TensorView
from .. import kernels
from ..sliding_window import SlidingWindow, spatial_in_three_dimensions

if TYPE_CHECKING:
    from .layers import Pooling

TACTIC = Tactic(
    "kernel", strided_outputs=frozenset({0}), strided_inputs=frozenset({0}), priority=1
)

TYPES = {
    DataType.FLOAT32: "float32", DataType.BFLOAT16: "bfloat16", DataType.INT8: "int8",
    DataType.UINT8: "uint8",
}  # fmt: skip

LAYOUT = "TT" + "2i" + "i" + "3i3i" + "3i3i3i3i3i" + "i" + "ii" + "f" + "5q5q"
"""struct pooling_arguments in windows.h."""

_PLAIN = Quantization((1.0,))


def supports(source: TensorDesc) -> bool:
    """Whether there is a kernel for this input."""
    return kernels.available() and source.dtype in TYPES and 3 <= source.rank <= 5


def record(
    layer: Pooling, window: SlidingWindow, source: TensorView, result: TensorView, stream: Stream
) -> None:
    """Put the kernel for these tensors on the stream."""
    outer, inner, input_strides = _points(source.desc)
    _, _, output_strides = _points(result.desc)
    whole = window.in_three_dimensions()
    before = source.desc.quantization or _PLAIN
    after = result.desc.quantization or _PLAIN
    kind = "average" if layer.average else "max"
    kernel = kernels.kernel(f"plugrt_{kind}_pooling_{TYPES[source.dtype]}", LAYOUT)
    stream.launch(
        kernel, source, result, outer, inner,
        spatial_in_three_dimensions(source.shape[2:], 1),
        spatial_in_three_dimensions(result.shape[2:], 1),
        whole.kernel, whole.strides, whole.dilations, whole.before, whole.after,
        int(layer.count_include_padding), before.zero_point[0], after.zero_point[0],
        before.scale[0] / after.scale[0], input_strides, output_strides,
    )  # fmt: skip


def _points(desc: TensorDesc) -> tuple[tuple[int, int], int, tuple[int, ...]]:
    """A tensor as two outer loops over volumes of points: (outer sizes, elements of a point,
    strides of the outer loops and of the three spatial dimensions)."""
    batch, channels = desc.sizes[:2]
    per_image, per_channel, *spatial = desc.element_strides
    inner = {Format.LINEAR: 1, Format.CHANNELS_LAST: channels, Format.CHANNELS_BLOCKED_16: BLOCK}
    side_by_side = inner[desc.format]
    outer = (batch, channels // side_by_side)
    strides = (per_image, per_channel, *spatial_in_three_dimensions(spatial, 0))
    return outer, side_by_side, strides
