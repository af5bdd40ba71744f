"""Convolution in 8 bits as one graph of cuDNN: sums of integers or of 8-bit floats, then scales,
bias and epilogue in float32, rounded to 8 bits again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...plugins import (
    Array,
    DataType,
    Format,
    Input,
    Stream,
    TensorDesc,
    TensorView,
)
from ...plugins.expression import Expression, inputs_of, rename
from ...plugins.expression.nodes import Apply, Constant
from ...plugins.native.cuda import cudnn
from ..quantised_arguments import is_float8, is_quantised
from . import cudnn_candidate
from .direct_cuda import FLOATS, factors_of
from .problem import Candidate, ConvolutionProblem, constant_weights

PREFIX = "cuda:cudnn:8bit:"

LEAST_CHANNELS = 16
"""Fewer are padded: the first layer of resnet50 at batch 128 took 2.1 ms, and 0.2 in 16 bits."""


@dataclass(frozen=True)
class Form:
    """A problem as cuDNN is to see it, with the vectors that it reads beside the layer's inputs:
    float32, one value for each output channel."""

    graph: cudnn.ConvolutionGraph
    vectors: tuple[bytes, ...]


class QuantisedConvolution(cudnn_candidate.PlannedConvolution):
    """One plan."""

    def __init__(self, problem: ConvolutionProblem, form: Form, plan: str) -> None:
        super().__init__(problem, PREFIX, plan)
        self._form = form

    @property
    def graph(self) -> cudnn.ConvolutionGraph:
        return self._form.graph

    def arguments(
        self, inputs: Sequence[TensorView], stream: Stream
    ) -> tuple[TensorView, list[TensorView]]:
        problem = self._problem
        value, dtype = constant_weights(problem.weights), problem.weights.dtype
        weights = stream.store.pack(
            ("cuda weights", inputs[1].digest, dtype.value, Format.CHANNELS_LAST.value),
            lambda: cudnn_candidate.pack(value, dtype, Format.CHANNELS_LAST),
        )
        vectors = [_packed(vector, stream) for vector in self._form.vectors]
        return weights, [*vectors, *inputs[len(inputs) - problem.epilogue.operands :]]


def candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[Candidate]:
    """The plan with the tactic's name; without one those that cuDNN proposes."""
    if not cudnn.available():
        return
    if tactic is not None and not tactic.startswith(PREFIX):
        return
    form = form_of(problem)
    if form is None:
        return
    if tactic is not None:
        yield QuantisedConvolution(problem, form, tactic.removeprefix(PREFIX))
        return
    for name in cudnn_candidate.usable_plans(form.graph)[: cudnn_candidate.MOST_PLANS]:
        yield QuantisedConvolution(problem, form, name)


def compilations(
    problem: ConvolutionProblem, tactics: Sequence[str]
) -> list[tuple[cudnn.ConvolutionGraph, str]]:
    """What `cudnn.build_ahead` takes for tactics of these names; others have nothing to build."""
    wanted = [name.removeprefix(PREFIX) for name in tactics if name.startswith(PREFIX)]
    form = form_of(problem) if wanted else None
    return [] if form is None else [(form.graph, name) for name in wanted]


def form_of(problem: ConvolutionProblem) -> Form | None:
    """The problem as a graph; None where cuDNN has none for its types, scales or layout."""
    source, weights, output = problem.source, problem.weights, problem.output
    if not _fits(problem):
        return None
    scales = factors_of(source, weights)
    bias = None if problem.bias is None else problem.bias.value
    if problem.bias is not None and bias is None:
        return None
    unit = 1.0 if output.quantization is None else output.quantization.scale[0]
    expression = problem.epilogue.composed()
    # What is proportional to its inputs is so with all of them in units of the output's scale.
    before = unit if _degree(expression) == 1 else 1.0
    own = 1 if bias is None else 2
    result: Expression = Input(0) * Input(1, axis=1)
    if bias is not None:
        result = result + Input(2, axis=1)
    real: dict[Input, Expression] = {Input(0): result}
    operands = problem.epilogue_operands
    for leaf in inputs_of(expression):
        if leaf.index:
            scale = operands[leaf.index - 1].quantization
            factor = (1.0 if scale is None else scale.scale[0]) / before
            moved = Input(leaf.index + own, leaf.axis)
            real[leaf] = moved if factor == 1.0 else moved * factor
    expression = rename(expression, real)
    if before != unit:
        expression = expression * (1.0 / unit)
    vectors: list[Array] = [scales / np.float32(before)]
    if bias is not None:
        vectors.append(bias.astype(np.float32) / np.float32(before))
    vector = TensorDesc(DataType.FLOAT32, (output.sizes[1],))
    window = problem.window
    graph = cudnn.ConvolutionGraph(
        cudnn_candidate.bare(source),
        TensorDesc(weights.dtype, weights.sizes, Format.CHANNELS_LAST),
        cudnn_candidate.bare(output), window.strides, window.before, window.after,
        window.dilations, expression,
        (*(vector for _ in vectors), *(cudnn_candidate.bare(desc) for desc in operands)),
    )  # fmt: skip
    return Form(graph, tuple(values.tobytes() for values in vectors))


def _fits(problem: ConvolutionProblem) -> bool:
    source, weights, output = problem.source, problem.weights, problem.output
    if is_quantised(source, weights, output):
        if source.dtype is not DataType.INT8 or output.dtype is DataType.UINT8:
            return False
    elif not is_float8(source, weights, output):
        return False
    if not weights.is_constant:
        return False
    if not problem.has_formats(Format.CHANNELS_LAST, Format.CHANNELS_LAST):
        return False
    if not 3 <= source.rank <= 5 or 0 in (*source.sizes, *output.sizes, *weights.sizes):
        return False
    if weights.sizes[1] < LEAST_CHANNELS:
        return False
    others = problem.epilogue_operands
    if any(desc.dtype not in (source.dtype, *FLOATS) for desc in others):
        return False
    return not any(_is_shifted(desc) for desc in (source, output, *others))


def _is_shifted(desc: TensorDesc) -> bool:
    """Whether 0 is not stored as 0, or scales differ along an axis."""
    kind = desc.quantization
    return kind is not None and (any(kind.zero_point) or kind.axis is not None)


def _packed(vector: bytes, stream: Stream) -> TensorView:
    return stream.store.pack(("cuda vector", vector), lambda: _floats(vector))


def _floats(vector: bytes) -> Array:
    return np.frombuffer(vector, np.float32).copy()


def _degree(node: Expression) -> int | None:
    """1 where the expression is multiplied by what all its inputs are multiplied by, if that is
    above 0; 0 where it stays as it is; None for others."""
    if isinstance(node, Input):
        return 1
    if not isinstance(node, Apply):
        return 0
    degrees = [_degree(operand) for operand in node.operands]
    zero = [isinstance(operand, Constant) and operand.value == 0 for operand in node.operands]
    alike = _alike(degrees, zero)
    if node.operator in ("add", "sub", "min", "max"):
        return alike
    if node.operator in ("neg", "abs"):
        return degrees[0]
    if node.operator in ("lt", "le", "eq"):
        return None if alike is None else 0
    if node.operator == "select":
        return _alike(degrees[1:], zero[1:]) if degrees[0] == 0 else None
    if None in degrees:
        return None
    if node.operator == "mul" and 0 in degrees:
        return max(degree for degree in degrees if degree is not None)
    if node.operator == "div" and degrees[1] == 0:
        return degrees[0]
    return None if 1 in degrees else 0


def _alike(degrees: Sequence[int | None], zero: Sequence[bool]) -> int | None:
    """The degree that all have, where 0 has every one."""
    found = {degree for degree, is_zero in zip(degrees, zero, strict=True) if not is_zero}
    return found.pop() if len(found) == 1 else None
