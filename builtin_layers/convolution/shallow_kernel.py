"""Convolution of a linear float32 tensor of few channels by our own C kernel (shallow.h): it
writes channels-last or blocked tensors, of float32 or bfloat16."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...plugins import Array, DataType, Format, Stream, Tactic, TensorDesc, TensorView
from .. import kernels
from . import block_epilogue as epilogues
from .block_epilogue import BlockEpilogue, block_epilogue, block_strides
from .problem import Candidate, ConvolutionProblem

PLAIN = "shallow"
PAIRS = "shallow:pairs"
NAMES = (PLAIN, PAIRS)

LAYOUT = "TTTT" + "i" * 6 + "2i2i" + "2i2i2i" + "i" + "3q4q" + epilogues.LAYOUT
"""struct shallow_arguments in shallow.h."""

MOST_CHANNELS = 4
"""With more input channels other kernels vectorise better."""

PANEL = 32
"""SHALLOW_PANEL."""

LINE_BYTES = 98304
"""SHALLOW_LINE_BYTES."""

LINE_STEP = 16
"""SHALLOW_LINE_STEP."""

SPARE_LINES = 2

OUTPUT_FORMATS = (Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16)


class ShallowConvolution(Candidate):
    """The loops of shallow_row.h; in pairs the inputs and weights are rounded to bfloat16."""

    def __init__(self, problem: ConvolutionProblem, epilogue: BlockEpilogue, name: str) -> None:
        self._problem = problem
        self._epilogue = epilogue
        first = frozenset({0})
        self.tactic = Tactic(name, strided_inputs=first, strided_outputs=first)

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        problem, window = self._problem, self._problem.window
        source, weights = inputs[0], inputs[1]
        in_pairs = self.tactic.name == PAIRS
        packed = stream.store.pack(
            (self.tactic.name, weights.digest), lambda: _packed(weights.desc, in_pairs)
        )
        has_bias = problem.bias is not None
        per_image, per_channel, per_row, _ = source.desc.element_strides
        stream.launch(
            kernels.kernel("plugrt_convolution_shallow", LAYOUT),
            source, packed, inputs[2] if has_bias else packed, output, int(has_bias),
            int(output.dtype is DataType.BFLOAT16), int(in_pairs),
            source.shape[0], source.shape[1], output.shape[1],
            source.shape[2:], output.shape[2:], window.kernel, window.strides, window.before,
            line_length(problem), (per_image, per_channel, per_row), block_strides(output.desc),
            *self._epilogue.arguments(stream, inputs, output, packed),
        )  # fmt: skip


def candidates(
    problem: ConvolutionProblem, tactic: str | None = None
) -> Iterator[ShallowConvolution]:
    """The way with the tactic's name; without one all that fit, a good guess first."""
    if not kernels.available() or not is_shallow(problem):
        return
    epilogue = block_epilogue(problem.epilogue, problem.inputs, problem.output, sums=False)
    if epilogue is None:
        return
    if tactic in (None, PAIRS) and _fits_pairs(problem):
        yield ShallowConvolution(problem, epilogue, PAIRS)
    if tactic in (None, PLAIN):
        yield ShallowConvolution(problem, epilogue, PLAIN)


def takes(source: TensorDesc, weights: TensorDesc, output: TensorDesc, groups: int) -> bool:
    """Whether tensors of these types and formats are what the kernel is for."""
    return (
        source.dtype is weights.dtype is DataType.FLOAT32
        and output.dtype in (DataType.FLOAT32, DataType.BFLOAT16)
        and not any(desc.quantization for desc in (source, weights, output))
        and source.format is Format.LINEAR
        and output.format in OUTPUT_FORMATS
        and source.rank == 4
        and groups == 1
        and isinstance(source.shape[1], int)
        and source.shape[1] <= MOST_CHANNELS
    )


def is_shallow(problem: ConvolutionProblem) -> bool:
    """Whether the kernel computes this problem."""
    source, weights, output, bias = (
        problem.source, problem.weights, problem.output, problem.bias,
    )  # fmt: skip
    return (
        takes(source, weights, output, problem.groups)
        and weights.is_constant
        and (bias is None or bias.dtype is DataType.FLOAT32)
        and problem.window.dilations == (1, 1)
        and 0 not in (*source.sizes, *output.sizes)
        and source.element_strides[3] == 1
        and problem.window.before[1] <= line_length(problem)
        and (_lines(problem) + SPARE_LINES) * line_length(problem) * 4 <= LINE_BYTES
    )


def line_length(problem: ConvolutionProblem) -> int:
    """Elements of an input row that a row of outputs sees, up to a whole step."""
    seen = (problem.output.sizes[3] - 1) * problem.window.strides[1] + problem.window.kernel[1]
    return -(-seen // LINE_STEP) * LINE_STEP


def pack(weights: Array) -> Array:
    """[M, C, height, width] -> [panel, C * height, width, 32] in float32."""
    outputs, channels, height, width = weights.shape
    panels = -(-outputs // PANEL)
    padded = np.zeros((panels * PANEL, channels * height, width), np.float32)
    padded[:outputs] = weights.reshape(outputs, channels * height, width)
    split = padded.reshape(panels, PANEL, channels * height, width)
    return np.ascontiguousarray(split.transpose(0, 2, 3, 1))


def pack_pairs(weights: Array) -> Array:
    """[M, C, height, width] -> [panel, pair of C * height, width, 32, 2], as bits of bfloat16."""
    plain = pack(weights)
    panels, lines, width, _ = plain.shape
    even = np.zeros((panels, lines + lines % 2, width, PANEL), DataType.BFLOAT16.numpy)
    even[:, :lines] = plain
    split = even.reshape(panels, -1, 2, width, PANEL)
    return np.ascontiguousarray(split.transpose(0, 1, 3, 4, 2)).view(np.uint16)


def _packed(weights: TensorDesc, in_pairs: bool) -> Array:
    if weights.value is None:
        raise ValueError("weights that are packed must be constant")
    return pack_pairs(weights.value) if in_pairs else pack(weights.value)


def _lines(problem: ConvolutionProblem) -> int:
    return problem.source.sizes[1] * problem.window.kernel[0]


def _fits_pairs(problem: ConvolutionProblem) -> bool:
    from ...plugins.native import cpu

    wanted = {"avx512bf16", "avx512bw", "avx512vl"}
    return problem.output.dtype is DataType.BFLOAT16 and wanted <= cpu.features()
