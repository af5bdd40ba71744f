"""Upsample by our own CUDA kernels: every type, linear and channels-last, gaps in and out."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ...plugins import (
    DataType,
    DeviceError,
    Format,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)
from ...plugins.native.cuda.copying import WORDS
from ...plugins.native.cuda.epilogue import EpilogueSource, epilogue_source, in_five_axes
from ...plugins.native.cuda.headers import divisors
from ..kernels_cuda import THREADS, blocks, kernel, pack_width, stored
from ..sliding_window import spatial_in_three_dimensions

if TYPE_CHECKING:
    from .layer import Upsample

TACTIC = Tactic("cuda", strided_outputs=frozenset({0}), strided_inputs=frozenset({0}))

FLOATS = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)
FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)
COORDINATES = ("half_pixel", "asymmetric", "align_corners")

FILE = "upsample/upsample.cu"
NEAREST_LAYOUT = "TTIi15I9I5q5q"
LINEAR_LAYOUT = "TTIi15I3i3ii5q5q"


def tactics(layer: Upsample, request: TacticRequest) -> Sequence[Tactic]:
    """The kernel's tactic where it computes the request."""
    source, output = request.inputs[0], request.outputs[0]
    if source.format is not output.format or source.format not in FORMATS:
        return ()
    computes = layer.mode == "linear" or request.epilogue
    if computes and source.dtype not in FLOATS:
        return ()
    return () if _fused(layer, request, 1, None) is None else (TACTIC,)


def record(
    layer: Upsample, inputs: Sequence[TensorView], output: TensorView, stream: Stream
) -> None:
    """Put the kernel for these tensors on the stream. Raises DeviceError for an epilogue that
    `tactics` would have refused."""
    if 0 in output.shape:
        return
    source = inputs[0]
    along_channels = source.desc.format is Format.CHANNELS_LAST
    width = 1
    if along_channels:
        width = pack_width(1, (source.desc, source.offset), (output.desc, output.offset))
    request = TacticRequest(
        tuple(view.desc for view in inputs), (output.desc,), layer.epilogue, "cuda"
    )
    fused = _fused(layer, request, width, [view.offset for view in inputs])
    if fused is None:
        raise DeviceError("Upsample: the epilogue reads tensors that no CUDA kernel takes")
    images, channels, *spatial = in_five_axes(output.shape, 1)
    sizes = (images, channels // width, *spatial)
    count = prod(sizes)
    scales = spatial_in_three_dimensions(layer.scales, 1)
    head = (source, output, count, int(along_channels), divisors(sizes))
    strides = (
        in_five_axes(source.desc.element_strides, 0), in_five_axes(output.desc.element_strides, 0)
    )  # fmt: skip
    if layer.mode == "linear":
        function = f"upsample_linear<{stored(source.dtype)}, {width}>"
        stream.launch_grid(
            kernel(FILE, function, LINEAR_LAYOUT + fused.layout, fused.header),
            blocks(count), (THREADS,), *head, scales,
            spatial_in_three_dimensions(source.shape[2:], 1),
            COORDINATES.index(layer.coordinates), *strides, *fused.arguments(inputs),
        )  # fmt: skip
        return
    element = stored(source.dtype) if layer.epilogue else WORDS[source.dtype.itemsize]
    function = f"upsample_nearest<{element}, {width}, {'true' if layer.epilogue else 'false'}>"
    stream.launch_grid(
        kernel(FILE, function, NEAREST_LAYOUT + fused.layout, fused.header),
        blocks(count), (THREADS,), *head, divisors(scales), *strides, *fused.arguments(inputs),
    )  # fmt: skip


def _fused(
    layer: Upsample, request: TacticRequest, width: int, offsets: Sequence[int] | None
) -> EpilogueSource | None:
    output: TensorDesc = request.outputs[0]
    return epilogue_source(
        request.epilogue, request.inputs, output, width, offsets=offsets,
        along_channels=output.format is Format.CHANNELS_LAST,
    )  # fmt: skip
