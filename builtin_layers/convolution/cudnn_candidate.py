"""Convolution, bias, epilogue and residual as one graph of cuDNN; each of its plans is a tactic."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...plugins import (
    Array,
    DataType,
    DeviceError,
    Format,
    Input,
    ShapeError,
    Stream,
    Tactic,
    TensorDesc,
    TensorView,
)
from ...plugins.expression import Expression, inputs_of, rename
from ...plugins.native.cuda import cudnn
from ..kernels_cuda import ACCESS_BYTES
from .direct_cuda import FLOATS, FORMATS, DirectConvolution
from .problem import Candidate, ConvolutionProblem

PREFIX = "cuda:cudnn:"

MOST_PLANS = 12
"""Plans of one form that are offered; the heuristics give the most promising first."""

FEW_PLANS = 2
"""The same where another format, or a conversion of its own, is as a rule faster."""

TF32 = "tf32"

OUTRUN = re.compile("eng[27](_|$)")
"""Plans of engines that take a third of the time to compile, and were never within 1.3 times of the
best where both sides have MANY channels: on an H200, in resnet50 at batch 1 and 32 and in yolov3 at
batch 1. With fewer channels they may win."""

MANY = 64


@dataclass(frozen=True)
class Variant:
    """One form of a problem: each finds other engines.

    `own_bias`: the bias in the type of the activations, not in float32. `residual_first`: the
    bias is added behind a residual. `tf32`: float32 may be rounded for the tensor cores.
    """

    own_bias: bool = False
    residual_first: bool = False
    tf32: bool = False

    @property
    def prefix(self) -> str:
        """What names of its tactics begin with."""
        flags = (("own_bias", self.own_bias), ("residual_first", self.residual_first),
                 (TF32, self.tf32))  # fmt: skip
        return PREFIX + "".join(f"{name}:" for name, is_set in flags if is_set)


class PlannedConvolution(Candidate):
    """Base: one plan of a problem's graph. What is not as the plan needs it, `direct.cu` takes."""

    def __init__(self, problem: ConvolutionProblem, prefix: str, plan: str) -> None:
        self._problem = problem
        self._plan = plan
        first = frozenset({0})
        self.tactic = Tactic(f"{prefix}{plan}", strided_inputs=first, strided_outputs=first)

    @property
    @abstractmethod
    def graph(self) -> cudnn.ConvolutionGraph:
        """The problem as cuDNN is to see it."""

    @abstractmethod
    def arguments(
        self, inputs: Sequence[TensorView], stream: Stream
    ) -> tuple[TensorView, list[TensorView]]:
        """The weights, and the graph's operands in order."""

    @property
    def request(self) -> tuple[cudnn.ConvolutionGraph, str]:
        """What is to be built."""
        return self.graph, self._plan

    def prepare(self) -> bool:
        plan = built(*self.request, 0)
        if plan is None:
            return False
        try:
            self.workspace_bytes = plan.workspace_bytes
        except DeviceError:  # there is one only for an engine that has brought it along
            return False
        return True

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        plan = built(*self.request, stream.ordinal)
        if plan is None:
            raise DeviceError(f"this GPU does not have {self.tactic.name}; build the plan again")
        room = 0 if workspace is None else workspace.desc.nbytes
        views = [view for view in (*inputs, output) if view is not None]
        if room < plan.workspace_bytes or any(view.offset % ACCESS_BYTES for view in views):
            DirectConvolution(self._problem).record(stream, inputs, output, workspace)
            return
        weights, operands = self.arguments(inputs, stream)
        plan.execute(
            stream.handle, stream.address(inputs[0]), stream.address(weights),
            stream.address(output), [stream.address(view) for view in operands],
            0 if workspace is None else stream.address(workspace),
        )  # fmt: skip
        stream.keep(plan)


class CudnnConvolution(PlannedConvolution):
    """One plan of one variant."""

    def __init__(self, problem: ConvolutionProblem, variant: Variant, plan: str) -> None:
        super().__init__(problem, variant.prefix, plan)
        self._variant = variant

    @property
    def graph(self) -> cudnn.ConvolutionGraph:
        return graph_of(self._problem, self._variant)

    def arguments(
        self, inputs: Sequence[TensorView], stream: Stream
    ) -> tuple[TensorView, list[TensorView]]:
        problem = self._problem
        operands = list(inputs[len(inputs) - problem.epilogue.operands :])
        if problem.bias is not None:
            operands.insert(0, _bias(inputs[2], _bias_type(problem, self._variant), stream))
        return _weights(problem, inputs[1], stream), operands


def candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[Candidate]:
    """The plan with the tactic's name; without one those that cuDNN proposes, each form's first
    one first. A plan that another form has too is as fast there, and left out."""
    if not cudnn.available() or not _fits(problem):
        return
    if tactic is not None:
        yield from _named(problem, tactic)
        return
    source, output = problem.source, problem.output
    promises = source.dtype is output.dtype and (
        source.format is Format.CHANNELS_LAST or source.dtype is DataType.FLOAT32
    )
    most = MOST_PLANS if promises else min(MOST_PLANS, FEW_PLANS)
    proposed = []
    known: set[str] = set()
    for variant in _variants(problem)[: None if promises else 1]:
        names = usable_plans(graph_of(problem, variant))
        new = [name for name in names if name not in known][:most]
        proposed.append([CudnnConvolution(problem, variant, name) for name in new])
        known.update(names)
    for rank in range(most):
        for plans in proposed:
            yield from plans[rank : rank + 1]


def compilations(
    problem: ConvolutionProblem, tactics: Sequence[str]
) -> list[tuple[cudnn.ConvolutionGraph, str]]:
    """What `cudnn.build_ahead` takes for tactics of these names; others have nothing to build."""
    if not _fits(problem):
        return []
    return [found.request for name in tactics for found in _named(problem, name)]


def graph_of(problem: ConvolutionProblem, variant: Variant) -> cudnn.ConvolutionGraph:
    """A problem as cuDNN is to see it."""
    window, source = problem.window, problem.source
    expression = problem.epilogue.composed()
    operands: list[TensorDesc] = []
    if problem.bias is not None:
        moved: dict[Input, Expression] = {
            leaf: Input(leaf.index + 1, leaf.axis) for leaf in inputs_of(expression) if leaf.index
        }
        expression = cudnn.biased(
            rename(expression, moved), Input(1, axis=1), variant.residual_first
        )
        operands.append(TensorDesc(_bias_type(problem, variant), problem.bias.sizes))
    operands += [bare(desc) for desc in problem.epilogue_operands]
    layout = source.format if problem.weights.is_constant else Format.LINEAR
    return cudnn.ConvolutionGraph(
        bare(source), TensorDesc(source.dtype, problem.weights.sizes, layout),
        bare(problem.output), window.strides, window.before, window.after, window.dilations,
        expression, tuple(operands), variant.tf32,
    )  # fmt: skip


def pack(weights: Array, dtype: DataType, layout: Format) -> Array:
    """[M, C / groups, kernel...] in a type and in the order of a format."""
    ordered = np.moveaxis(weights, 1, -1) if layout is Format.CHANNELS_LAST else weights
    return np.ascontiguousarray(ordered.astype(dtype.numpy))


def _fits(problem: ConvolutionProblem) -> bool:
    source, weights, output = problem.source, problem.weights, problem.output
    real = (source, weights, output, *problem.epilogue_operands)
    if problem.bias is not None:
        real = (*real, problem.bias)
    if any(desc.quantization is not None or desc.dtype not in FLOATS for desc in real):
        return False
    if source.format is not output.format or source.format not in FORMATS:
        return False
    if not 3 <= source.rank <= 5 or 0 in (*source.sizes, *output.sizes, *weights.sizes):
        return False
    if DataType.FLOAT32 in (source.dtype, weights.dtype) and source.dtype is not weights.dtype:
        return False
    return weights.is_constant or (
        source.format is Format.LINEAR and weights.dtype is source.dtype
    )


def _variants(problem: ConvolutionProblem) -> list[Variant]:
    """All forms of a problem that differ and keep its precision. A float32 bias behind the residual
    is left out for 16-bit types: it finds the same engines as in front of it."""
    bias = problem.bias
    own = [False]
    if bias is not None and problem.source.dtype is not DataType.FLOAT32:
        own = [False, True] if bias.is_constant else [bias.dtype is problem.source.dtype]
    rounds = problem.tf32 and problem.source.dtype is DataType.FLOAT32
    orders = [False] if bias is None else [False, True]
    found = [
        Variant(is_own, first, rounds) for first in orders for is_own in own
        if is_own or not first or True not in own
    ]
    graphs = {graph_of(problem, variant): variant for variant in reversed(found)}
    return [variant for variant in found if variant in graphs.values()]


def _named(problem: ConvolutionProblem, tactic: str) -> Iterator[CudnnConvolution]:
    if not tactic.startswith(PREFIX):
        return
    plan = tactic.rpartition(":")[2]
    flags = ((own, first, tf32) for own in (False, True) for first in (False, True)
             for tf32 in (False, True))  # fmt: skip
    for variant in (Variant(*each) for each in flags):
        if f"{variant.prefix}{plan}" == tactic:
            yield CudnnConvolution(problem, variant, plan)


def usable_plans(graph: cudnn.ConvolutionGraph) -> list[str]:
    """Names of plans, the most promising first, without those that could not be built."""
    return [name for name in proposed_plans(graph) if (graph, name) not in _failed]


@lru_cache(maxsize=4096)
def proposed_plans(graph: cudnn.ConvolutionGraph, ordinal: int = 0) -> tuple[str, ...]:
    """Names of plans; none where cuDNN cannot do this. Asking takes tens of milliseconds."""
    try:
        names = tuple(graph.plans(ordinal))
    except (DeviceError, ShapeError):
        return ()
    if min(graph.weights.sizes[:2]) < MANY:
        return names
    return tuple(name for name in names if not OUTRUN.match(name)) or names


_failed: set[tuple[cudnn.ConvolutionGraph, str]] = set()


@lru_cache(maxsize=1024)
def built(
    graph: cudnn.ConvolutionGraph, name: str, ordinal: int
) -> cudnn.ConvolutionPlan | None:
    """The plan; None where it cannot be made, as not all that are proposed can."""
    try:
        return graph.build(name, ordinal)
    except (DeviceError, ShapeError):
        _failed.add((graph, name))
        return None


def _bias_type(problem: ConvolutionProblem, variant: Variant) -> DataType:
    bias = problem.bias
    if bias is not None and not bias.is_constant:
        return bias.dtype
    return problem.source.dtype if variant.own_bias else DataType.FLOAT32


def _bias(view: TensorView, dtype: DataType, stream: Stream) -> TensorView:
    value = view.desc.value
    if value is None or view.dtype is dtype:
        return view
    return stream.store.pack(
        ("cuda bias", view.digest, dtype.value),
        lambda: np.ascontiguousarray(value.astype(dtype.numpy)),
    )


def _weights(problem: ConvolutionProblem, given: TensorView, stream: Stream) -> TensorView:
    value, dtype, layout = given.desc.value, problem.source.dtype, problem.source.format
    if value is None:
        return given
    return stream.store.pack(
        ("cuda weights", given.digest, dtype.value, layout.value),
        lambda: pack(value, dtype, layout),
    )


def bare(desc: TensorDesc) -> TensorDesc:
    """What of a description decides about plans."""
    strides = None if desc.is_dense else desc.element_strides
    return TensorDesc(desc.dtype, desc.sizes, desc.format, strides)
