"""LRN by our own CUDA kernel: floats of 16 and 32 bits, linear and channels-last, gaps in and
out, any epilogue."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ..plugins import DataType, DeviceError, Format, Stream, Tactic, TacticRequest, TensorView
from ..plugins.native.cuda.epilogue import EpilogueSource, epilogue_source, in_five_axes
from .kernels_cuda import THREADS, blocks, kernel, stored

if TYPE_CHECKING:
    from .lrn import LRN

TACTIC = Tactic("cuda", strided_outputs=frozenset({0}), strided_inputs=frozenset({0}))

TYPES = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)
FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)
LAYOUT = "TTIi5iiifff5q5q"


def tactics(request: TacticRequest) -> Sequence[Tactic]:
    """The kernel's tactic where it computes the request."""
    source, output = request.inputs[0], request.outputs[0]
    fits = (
        source.dtype is output.dtype in TYPES
        and source.format is output.format in FORMATS
        and source.rank <= 5
    )
    return (TACTIC,) if fits and _fused(request, None) is not None else ()


def record(layer: LRN, inputs: Sequence[TensorView], output: TensorView, stream: Stream) -> None:
    """Put the kernel for these tensors on the stream. Raises DeviceError for an epilogue that
    `tactics` would have refused."""
    if 0 in output.shape:
        return
    source = inputs[0]
    request = TacticRequest(
        tuple(view.desc for view in inputs), (output.desc,), layer.epilogue, "cuda"
    )
    fused = _fused(request, [view.offset for view in inputs])
    if fused is None:
        raise DeviceError("LRN: the epilogue reads tensors that no CUDA kernel takes")
    count = prod(output.shape)
    stream.launch_grid(
        kernel("lrn.cu", f"lrn<{stored(source.dtype)}>", LAYOUT + fused.layout, fused.header),
        blocks(count), (THREADS,), source, output, count,
        int(source.desc.format is Format.CHANNELS_LAST), in_five_axes(output.shape, 1),
        (layer.size - 1) // 2, layer.size // 2, layer.alpha / layer.size, layer.beta, layer.bias,
        in_five_axes(source.desc.element_strides, 0), in_five_axes(output.desc.element_strides, 0),
        *fused.arguments(inputs),
    )  # fmt: skip


def _fused(request: TacticRequest, offsets: Sequence[int] | None) -> EpilogueSource | None:
    output = request.outputs[0]
    return epilogue_source(
        request.epilogue, request.inputs, output, 1, offsets=offsets,
        along_channels=output.format is Format.CHANNELS_LAST,
    )  # fmt: skip
