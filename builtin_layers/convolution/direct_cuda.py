"""Convolution by our own CUDA kernel for every case: floats of 8, 16 and 32 bits and 8-bit
integers, linear or channels-last, gaps in and out, any epilogue. It is what is left where no
faster kernel fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from ...plugins import Array, DataType, DeviceError, Format, Stream, Tactic, TensorDesc, TensorView
from ...plugins.native.cuda.epilogue import EpilogueSource, epilogue_source, in_five_axes
from ..kernels_cuda import THREADS, blocks, kernel, stored
from ..quantised_arguments import EIGHT_BITS, is_float8, is_quantised
from ..sliding_window import spatial_in_three_dimensions
from .problem import Candidate, ConvolutionProblem

DIRECT = "cuda:direct"

FLOATS = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)
FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

FILE = "convolution/direct.cu"
LAYOUT = "TTTTI" + "i" * 5 + "3i5i3i3i3i3i" + "3q5q5q"


class DirectConvolution(Candidate):
    """The loops of direct.cu."""

    def __init__(self, problem: ConvolutionProblem) -> None:
        self._problem = problem
        first = frozenset({0})
        self.tactic = Tactic(
            DIRECT, strided_inputs=first, strided_outputs=first, priority=-1
        )

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        problem, source = self._problem, inputs[0]
        if 0 in output.shape:
            return
        fused = epilogue_of(problem, 1, inputs)
        weights, strides = _weights(problem, inputs[1], stream)
        scale = problem.source.quantization
        factors = weights if scale is None else _factors(problem, stream)
        sums = "int" if problem.source.dtype in EIGHT_BITS else "float"
        window = problem.window.in_three_dimensions()
        function = (
            f"convolution_direct<{stored(source.dtype)}, {stored(weights.dtype)}, "
            f"{sums}, {stored(output.dtype)}>"
        )
        count = prod(output.shape)
        stream.launch_grid(
            kernel(FILE, function, LAYOUT + fused.layout, fused.header), blocks(count), (THREADS,),
            source, weights, factors, output, count,
            int(output.desc.format is Format.CHANNELS_LAST), int(scale is not None),
            0 if scale is None else scale.zero_point[0],
            source.shape[1] // problem.groups, output.shape[1] // problem.groups,
            spatial_in_three_dimensions(source.shape[2:], 1), in_five_axes(output.shape, 1),
            window.kernel, window.strides, window.dilations, window.before, strides,
            in_five_axes(source.desc.element_strides, 0),
            in_five_axes(output.desc.element_strides, 0), *fused.arguments(inputs),
        )  # fmt: skip


def candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[Candidate]:
    """The kernel, if it has the tactic's name or none is given, where it computes the problem."""
    if tactic in (None, DIRECT) and _fits(problem) and fuses(problem, 1):
        yield DirectConvolution(problem)


def fuses(problem: ConvolutionProblem, width: int) -> bool:
    """Whether the problem's epilogue runs behind our kernels."""
    return _epilogue(problem, width, None) is not None


def epilogue_of(
    problem: ConvolutionProblem, width: int, inputs: Sequence[TensorView | None] = ()
) -> EpilogueSource:
    """Bias and epilogue for a kernel that stores so many channels at a time; without `inputs` for
    tensors that begin where they should. Raises DeviceError where there is no form; `fuses`
    tells."""
    offsets = [0 if view is None else view.offset for view in inputs] if inputs else None
    found = _epilogue(problem, width, offsets)
    if found is None:
        raise DeviceError("Convolution: the epilogue reads tensors that no CUDA kernel takes")
    return found


def _epilogue(
    problem: ConvolutionProblem, width: int, offsets: Sequence[int] | None
) -> EpilogueSource | None:
    return epilogue_source(
        problem.epilogue, problem.inputs, problem.output, width, offsets=offsets,
        along_channels=problem.output.format is Format.CHANNELS_LAST,
        bias=None if problem.bias is None else 2,
    )  # fmt: skip


def _fits(problem: ConvolutionProblem) -> bool:
    source, weights, output = problem.source, problem.weights, problem.output
    if source.format not in FORMATS or output.format not in FORMATS:
        return False
    if not 3 <= source.rank <= 5 or weights.format is not Format.LINEAR:
        return False
    if is_quantised(source, weights, output) or is_float8(source, weights, output):
        return weights.is_constant
    return all(desc.dtype in FLOATS for desc in (source, weights, output))


def _weights(
    problem: ConvolutionProblem, given: TensorView, stream: Stream
) -> tuple[TensorView, tuple[int, int, int]]:
    """The weights, and the distances of taps, channels and outputs in them."""
    outputs, channels, *kernel_sizes = problem.weights.sizes
    taps = prod(kernel_sizes)
    value = given.desc.value
    if value is None:
        return given, (1, taps, channels * taps)
    packed = stream.store.pack(("cuda convolution weights", given.digest), lambda: pack(value))
    return packed, (channels * outputs, outputs, 1)


def pack(weights: Array) -> Array:
    """[M, C / groups, kernel...] -> [taps, C / groups, M]: outputs side by side."""
    outputs, channels = weights.shape[:2]
    return np.ascontiguousarray(weights.reshape(outputs, channels, -1).transpose(2, 1, 0))


def _factors(problem: ConvolutionProblem, stream: Stream) -> TensorView:
    """What one unit of the integer sums stands for, by output channel."""
    factors = factors_of(problem.source, problem.weights)
    return stream.store.pack(("cuda factors", factors.tobytes()), lambda: factors)


def factors_of(source: TensorDesc, weights: TensorDesc) -> Array:
    """Scale of the source times those of the weights, float32 [M]."""
    if source.quantization is None or weights.quantization is None:
        raise DeviceError(f"8-bit convolution of {source} with {weights} needs scales for both")
    scales = np.asarray(weights.quantization.scale, np.float64) * source.quantization.scale[0]
    return np.broadcast_to(scales, (weights.sizes[0],)).astype(np.float32)
