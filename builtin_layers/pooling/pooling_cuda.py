"""Pooling by our own CUDA kernels: linear and channels-last, floats and 8 bits, gaps in and out,
any epilogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from ...plugins import (
    DataType,
    DeviceError,
    Epilogue,
    Format,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)
from ...plugins.native.cuda.epilogue import EpilogueSource, epilogue_source, in_five_axes
from ...plugins.native.cuda.headers import divisor, divisors
from ..kernels_cuda import THREADS, blocks, kernel, pack_width, stored
from ..sliding_window import SlidingWindow, spatial_in_three_dimensions

if TYPE_CHECKING:
    from .layers import Pooling

TACTIC = Tactic(
    "cuda", strided_outputs=frozenset({0}), strided_inputs=frozenset({0}), priority=1
)

TYPES = (
    DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16, DataType.INT8, DataType.UINT8,
    DataType.FLOAT8_E4M3FN,
)  # fmt: skip
FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

FILE = "pooling/pooling.cu"
LAYOUT = "TTIi3i15I3i3i3i3i3iiff5q5q"
TWO_LAYOUT = "TTiiii3I3i3i3iff5q5q"

GLOBAL_FILE = "pooling/global_pooling.cu"
GLOBAL_LAYOUT = "TTiiffqqq"
ROWS_LAYOUT = "TTiiIffqqqq"

AT_ONCE = ((2, 2), (3, 3))
"""Windows that are read at once."""

LARGE_WINDOW = 16
"""Elements of a window from which two steps are faster than one."""

SHARED_BYTES = 48 << 10
"""Shared memory of a block on every architecture."""

GLOBAL_LANES = 16
"""Packs of channels that a block computes of whole images."""


def tactics(layer: Pooling, request: TacticRequest) -> Sequence[Tactic]:
    """The kernel's tactic where it computes the request."""
    source, output = request.inputs[0], request.outputs[0]
    if not supports(source, output):
        return ()
    fused = _fused(layer.average, request.epilogue, request.inputs, output, 1, None)
    return () if fused is None else (TACTIC,)


def supports(source: TensorDesc, output: TensorDesc) -> bool:
    """Whether there is a kernel for these types and formats."""
    return (
        source.dtype in TYPES
        and source.dtype is output.dtype
        and 3 <= source.rank <= 5
        and source.format is output.format
        and source.format in FORMATS
    )


def record(
    layer: Pooling, window: SlidingWindow, inputs: Sequence[TensorView], output: TensorView,
    stream: Stream,
) -> None:
    """Put the kernel for these tensors on the stream. Raises DeviceError for an epilogue that
    `tactics` would have refused."""
    if 0 in output.shape:
        return
    source, result = inputs[0], output
    along_channels = source.desc.format is Format.CHANNELS_LAST
    width = 1
    if along_channels:
        width = pack_width(1, (source.desc, source.offset), (result.desc, result.offset))
    offsets = [view.offset for view in inputs]
    fused = _fused(
        layer.average, layer.epilogue, [view.desc for view in inputs], result.desc, width, offsets
    )
    if fused is None:
        raise DeviceError(f"{layer.type}: the epilogue reads tensors that no CUDA kernel takes")
    zero, scale = _real_values(layer, source.desc)
    names = (stored(source.dtype), "true" if layer.average else "false")
    if _sees_everything(window, source.shape[2:]) and _is_plane(source.desc):
        _record_global(inputs, result, names, width, zero, scale, fused, stream)
        return
    whole = window.in_three_dimensions()
    strides = (
        in_five_axes(source.desc.element_strides, 0), in_five_axes(result.desc.element_strides, 0)
    )  # fmt: skip
    lanes = _lanes_in_two(layer.average, window, source.desc, result.desc, width)
    if lanes:
        _, channels, height, across = source.shape
        rows, columns = result.shape[2:]
        groups = channels // (width * lanes)
        function = f"pooling_in_two<{names[0]}, {width}, {lanes}>"
        stream.launch_grid(
            kernel(FILE, function, TWO_LAYOUT + fused.layout, fused.header),
            (source.shape[0] * groups, 1, 1), (THREADS,), source, result, groups, height, across,
            rows, divisor(columns), whole.kernel, whole.strides, whole.before, zero, scale,
            *strides, *fused.arguments(inputs),
            shared_bytes=height * (across + columns) * lanes * width * source.dtype.itemsize,
        )  # fmt: skip
        return
    images, channels, depth, rows, columns = in_five_axes(result.shape, 1)
    packs = channels // width
    at_once = window.kernel in AT_ONCE and window.dilations == (1, 1)
    known = window.kernel if at_once else (0, 0)
    sizes = (images, packs, depth, rows, columns)
    count = prod(sizes)
    function = f"pooling<{names[0]}, {width}, {names[1]}, {known[0]}, {known[1]}>"
    stream.launch_grid(
        kernel(FILE, function, LAYOUT + fused.layout, fused.header), blocks(count), (THREADS,),
        source, result, count, int(along_channels),
        spatial_in_three_dimensions(source.shape[2:], 1),
        divisors(sizes),
        whole.kernel, whole.strides, whole.dilations, whole.before, whole.after,
        int(layer.count_include_padding), zero, scale, *strides, *fused.arguments(inputs),
    )  # fmt: skip


def _record_global(
    inputs: Sequence[TensorView], result: TensorView, names: tuple[str, str], width: int,
    zero: float, scale: float, fused: EpilogueSource, stream: Stream,
) -> None:
    source = inputs[0]
    images, channels = source.shape[:2]
    points = prod(source.shape[2:])
    from_strides, to_strides = source.desc.element_strides, result.desc.element_strides
    if source.desc.format is Format.LINEAR:
        function = f"global_pooling_rows<{names[0]}, {names[1]}>"
        stream.launch_grid(
            kernel(GLOBAL_FILE, function, ROWS_LAYOUT + fused.layout, fused.header),
            blocks(images * channels * 32), (THREADS,),
            source, result, points, channels, images * channels, zero, scale,
            *from_strides[:2], *to_strides[:2], *fused.arguments(inputs),
        )  # fmt: skip
        return
    packs = channels // width
    function = f"global_pooling<{names[0]}, {width}, {names[1]}>"
    stream.launch_grid(
        kernel(GLOBAL_FILE, function, GLOBAL_LAYOUT + fused.layout, fused.header),
        (images * -(-packs // GLOBAL_LANES), 1, 1), (THREADS,),
        source, result, points, packs, zero, scale, from_strides[0], from_strides[-1],
        to_strides[0], *fused.arguments(inputs),
    )  # fmt: skip


def _fused(
    average: bool, epilogue: Epilogue, inputs: Sequence[TensorDesc | None], output: TensorDesc,
    width: int, offsets: Sequence[int] | None,
) -> EpilogueSource | None:
    """The epilogue; maxima keep their scale, so that without one they are stored as they are."""
    target = output if average or epilogue else replace(output, quantization=None)
    return epilogue_source(
        epilogue, inputs, target, width, offsets=offsets,
        along_channels=output.format is Format.CHANNELS_LAST,
    )  # fmt: skip


def _lanes_in_two(
    average: bool, window: SlidingWindow, source: TensorDesc, output: TensorDesc, width: int
) -> int:
    """Packs of channels side by side for maxima in two steps; 0 where one step is better."""
    if average or source.rank != 4 or source.format is not Format.CHANNELS_LAST:
        return 0
    if prod(window.kernel) < LARGE_WINDOW or window.dilations != (1, 1):
        return 0
    points = source.sizes[2] * (source.sizes[3] + output.sizes[3])
    for lanes in (4, 2):
        room = points * lanes * width * source.dtype.itemsize
        if source.sizes[1] % (width * lanes) == 0 and room <= SHARED_BYTES:
            return lanes
    return 0


def _real_values(layer: Pooling, source: TensorDesc) -> tuple[float, float]:
    """(zero point, scale) that make real values of the stored ones."""
    if source.quantization is None or not (layer.average or layer.epilogue):
        return 0.0, 1.0
    return float(source.quantization.zero_point[0]), source.quantization.scale[0]


def _sees_everything(window: SlidingWindow, sizes: Sequence[int]) -> bool:
    """Whether there is one window, over all of the input."""
    return (
        tuple(window.kernel) == tuple(sizes)
        and not any(window.before + window.after)
        and all(step == 1 for step in window.dilations)
    )


def _is_plane(desc: TensorDesc) -> bool:
    """Whether the points of an image lie evenly spaced, those of a linear one side by side."""
    spatial = desc.element_strides[2:]
    step = spatial[-1]
    if desc.format is Format.LINEAR and step != 1:
        return False
    for size, stride in zip(reversed(desc.sizes[2:]), reversed(spatial), strict=True):
        if size > 1 and stride != step:
            return False
        step *= size
    return True
