"""The reorg layer on a GPU: one copy between two views of the same elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from plugrt.plugins import Format, Stream, TensorView
from plugrt.plugins.native.cuda import copying

if TYPE_CHECKING:
    from .reorg import Reorg


def record(layer: Reorg, source: TensorView, output: TensorView, stream: Stream) -> None:
    """Put the layer on the stream, for dense linear tensors.

    In the order "blocks" pixel (h s + b, w s + d) of channel c of the tall tensor, [N, C, H, W],
    is pixel (h, w) of channel (b s + d) C + c of the wide one.
    """
    step = layer.stride
    images = source.shape[0]
    tall, wide = (output, source) if layer.reverse else (source, output)
    if layer.order == "darknet" and not layer.reverse:
        # The input is seen with fewer channels and more pixels, the result as it comes.
        channels = source.shape[1] // (step * step)
        height, width = source.shape[2], source.shape[3]
    else:
        channels = tall.shape[1]
        height, width = tall.shape[2] // step, tall.shape[3] // step
    # Axes: image, row in block, column in block, channel, row, column.
    sizes = (images, step, step, channels, height, width)
    row = width * step
    plane = height * step * row
    tall_strides = (channels * plane, row, 1, plane, step * row, step)
    wide_strides = Format.LINEAR.strides(sizes)
    ends = (_seen(tall, sizes, tall_strides), _seen(wide, sizes, wide_strides))
    copying.record(stream, *(reversed(ends) if layer.reverse else ends))


def _seen(view: TensorView, sizes: Sequence[int], strides: Sequence[int]) -> TensorView:
    desc = replace(
        view.desc, shape=tuple(sizes), strides=tuple(strides), format=Format.LINEAR, value=None,
        min_shape=None, max_shape=None,
    )  # fmt: skip
    return TensorView(desc, view.slot, view.offset)
