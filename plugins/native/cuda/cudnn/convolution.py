"""Convolution with a fused expression, as one operation graph of cuDNN."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import cached_property
from hashlib import sha256

from ....data_types import DataType
from ....errors import DeviceError, ShapeError
from ....expression import Expression, Input, to_plain
from ....expression.nodes import Constant
from ....tensor import TensorDesc
from .. import kernel_cache
from ..devices import Context, device_properties
from ..lent_code import lent
from .descriptors import (
    CONVOLUTION,
    OPERATION_CONVOLUTION_FORWARD,
    OPERATION_GRAPH,
    OPERATION_POINTWISE,
    POINTWISE,
    Descriptor,
    made,
)
from .library import CudnnError, Handle, version
from .plans import (
    DOWN_CONVERT_INPUTS,
    NONDETERMINISTIC,
    REDUCED_PRECISION,
    TENSOR_CORE,
    ExecutionPlan,
    build_plan,
    load_plan,
    plan_names,
)
from .pointwise_forms import PLAIN_MODES, PointwiseStep, pointwise_steps
from .tensors import DATA_TYPES, TensorSpec, paired

PLAIN = Input(0)
INPUT, WEIGHTS, OUTPUT = 1, 2, 3
FIRST_OPERAND = 10
FIRST_HIDDEN = 1000
REFUSED = b"refused"
"""Stands in the disk cache for a plan that cuDNN proposes and cannot build."""
_COMMUTATIVE = frozenset(PLAIN_MODES[name] for name in ("add", "mul", "min", "max"))


@dataclass(frozen=True)
class ConvolutionGraph:
    """output = expression(convolution(input, weights), operands...).

    `input` and `output` are (N, C, spatial...), `weights` (O, C / groups, kernel...); groups
    follow from the shapes. Input(0) of `expression` is the convolution's result, Input(k)
    `operands[k - 1]`: a bias is Input(k, axis=1) of `O` elements (see `biased`). Float32
    without `tf32` uses no engine that rounds its inputs.
    """

    input: TensorDesc
    weights: TensorDesc
    output: TensorDesc
    strides: tuple[int, ...]
    pads_before: tuple[int, ...]
    pads_after: tuple[int, ...]
    dilations: tuple[int, ...]
    expression: Expression = PLAIN
    operands: tuple[TensorDesc, ...] = ()
    tf32: bool = False

    @cached_property
    def steps(self) -> Sequence[PointwiseStep]:
        """What follows the convolution. Raises DeviceError for operators cuDNN lacks."""
        same_type = self.input.dtype is self.output.dtype
        if self.expression == PLAIN and same_type:
            return ()
        return pointwise_steps(self.expression)

    def plans(self, ordinal: int = 0) -> list[str]:
        """Names of the plans that cuDNN proposes for this GPU, the most promising first; empty
        where it cannot fuse this. Not all of them can be built. What was proposed once is in the
        disk cache of kernels: asking takes tens of milliseconds. Raises DeviceError."""
        key = self.cache_key(f"plans {self.tf32}", ordinal)
        stored = kernel_cache.read(key)
        if stored is not None:
            return stored.decode().split()
        context = Context.of(ordinal)
        forbidden = {NONDETERMINISTIC, REDUCED_PRECISION}
        if self.input.dtype is DataType.FLOAT32 and not self.tf32:
            forbidden |= {TENSOR_CORE, DOWN_CONVERT_INPUTS}
        with context.current():
            found = plan_names(self._graph(context)[0], frozenset(forbidden))
        kernel_cache.write(key, " ".join(found).encode())
        return found

    def build(self, name: str, ordinal: int = 0) -> ConvolutionPlan:
        """The plan of this name, compiled, or from the disk cache of kernels. Raises DeviceError
        when it cannot be built."""
        return ConvolutionPlan(self, self.cache_key(name, ordinal), name, ordinal)

    def compiled(self, name: str, ordinal: int, key: str) -> ExecutionPlan:
        """What `build` makes, without what an engine has brought along."""
        stored = kernel_cache.read(key)
        if stored == REFUSED:
            raise DeviceError(f"cuDNN has refused {name} for this convolution; use another plan")
        if stored is not None:
            try:
                return self.loaded(stored, ordinal)
            except DeviceError:  # of another build of cuDNN with this version
                pass
        context = Context.of(ordinal)
        with context.current():
            graph, constants = self._graph(context)
            try:
                plan = build_plan(context, graph, name, constants)
            except CudnnError as error:
                if error.is_unsupported:  # finding that out takes as long as a plan
                    kernel_cache.write(key, REFUSED)
                raise
        kernel_cache.write(key, plan.serialized())
        return plan

    def cache_key(self, name: str, ordinal: int = 0) -> str:
        """Under which the disk cache keeps the plan of this name."""
        gpu = device_properties(ordinal)
        tensors = [
            astuple(TensorSpec.of(desc)) for desc in (self.input, self.weights, self.output)
        ]
        operands = [
            [desc.dtype, desc.sizes, desc.element_strides, desc.alignment] for desc in self.operands
        ]
        described = [
            "cudnn", version(), gpu.name, gpu.architecture, gpu.multiprocessors, tensors, operands,
            self.strides, self.pads_before, self.pads_after, self.dilations,
            to_plain(self.expression), name,
        ]  # fmt: skip
        return sha256(repr(described).encode()).hexdigest()

    def load(self, data: bytes, ordinal: int = 0) -> ConvolutionPlan:
        """A plan from `ConvolutionPlan.serialized`. Only for trusted data. Raises DeviceError."""
        return ConvolutionPlan(self, "", "", ordinal, self.loaded(data, ordinal))

    def loaded(self, data: bytes, ordinal: int) -> ExecutionPlan:
        """What `load` makes."""
        context = Context.of(ordinal)
        with context.current():
            constants = _GraphBuilder(self).constants
            return load_plan(context, data, constants)

    def _graph(self, context: Context | None) -> tuple[Descriptor, Mapping[int, float]]:
        """The finalised operation graph, and the numbers in it by uid."""
        builder = _GraphBuilder(self)
        graph = Descriptor(OPERATION_GRAPH)
        if context is not None:
            graph.set("graph_handle", "handle", Handle.of(context).address)
        graph.set("graph_operations", "descriptor", *builder.operations)
        return graph.finalize(), builder.constants


class ConvolutionPlan:
    """A `ConvolutionGraph` compiled for one GPU, shared by contexts.

    An engine that has brought the plan along has its own; all others share what cuDNN made here.
    """

    def __init__(
        self, graph: ConvolutionGraph, key: str, name: str, ordinal: int,
        plan: ExecutionPlan | None = None,
    ) -> None:  # fmt: skip
        self.identity = key
        """Under which the cache of kernels keeps it."""
        self._graph = graph
        self._name = name
        self._ordinal = ordinal
        self._lock = threading.Lock()
        self._plans: dict[str, ExecutionPlan] = {} if plan is None else {"": plan}
        """By the digest of what an engine has brought along; "" is our own."""
        self._plan()

    def _plan(self) -> ExecutionPlan:
        brought = lent(self.identity)
        if brought is not None:
            with self._lock, suppress(DeviceError):  # of another build of cuDNN
                found = self._plans.get(brought.digest)
                if found is None:
                    found = self._graph.loaded(brought.payload, self._ordinal)
                    self._plans[brought.digest] = found
                return found
        with self._lock:
            found = self._plans.get("")
            if found is None:
                found = self._graph.compiled(self._name, self._ordinal, self.identity)
                self._plans[""] = found
            return found

    @property
    def workspace_bytes(self) -> int:
        """Scratch memory that `execute` needs."""
        return self._plan().workspace_bytes

    def execute(
        self, stream: int, input: int, weights: int, output: int,
        operands: Sequence[int] = (), workspace: int = 0,
    ) -> None:  # fmt: skip
        """Put it on a stream; all are device addresses. In a recording: `stream.handle` and
        `stream.address(view)`. Raises DeviceError."""
        wanted = len(self._graph.operands)
        if len(operands) != wanted:
            raise ShapeError(f"{len(operands)} operands given; the graph has {wanted}")
        pointers = {INPUT: input, WEIGHTS: weights, OUTPUT: output}
        pointers |= {FIRST_OPERAND + k: address for k, address in enumerate(operands)}
        self._plan().execute(stream, pointers, workspace)

    def serialized(self) -> bytes:
        """What `ConvolutionGraph.load` reads: for this cuDNN version and kind of GPU."""
        return self._plan().serialized()

    def stored(self, ordinal: int) -> tuple[str, bytes]:
        """Key and payload in the cache of kernels."""
        return self.identity, self.serialized()


class _GraphBuilder:
    def __init__(self, graph: ConvolutionGraph) -> None:
        self._graph = graph
        self._rank = graph.input.rank
        self._output = TensorSpec.of(graph.output)
        is_integer = graph.input.dtype.is_integer
        self._sum = DataType.INT32 if is_integer else DataType.FLOAT32
        self.constants: dict[int, float] = {}
        self._hidden = FIRST_HIDDEN
        result = self._between(self._sum) if graph.steps else self._output.descriptor(OUTPUT)
        self.operations = [self._convolution(result)]
        self._operands: dict[object, Descriptor] = {Input(0): result}
        self._results: list[Descriptor] = []
        for position, step in enumerate(graph.steps):
            is_last = position == len(graph.steps) - 1
            target = (
                self._output.descriptor(OUTPUT) if is_last else self._between(DataType.FLOAT32)
            )
            self.operations.append(self._pointwise(step, target))
            self._results.append(target)

    def _between(self, dtype: DataType) -> Descriptor:
        """A tensor between two operations, which is never stored."""
        self._hidden += 1
        spec = TensorSpec(dtype, self._output.dims, self._output.strides)
        return spec.descriptor(self._hidden, virtual=True)

    def _convolution(self, result: Descriptor) -> Descriptor:
        graph = self._graph
        convolution = made(
            CONVOLUTION,
            convolution_precision=("data_type", DATA_TYPES[self._sum]),
            convolution_mode=("convolution_mode", 1),  # as in neural networks: no flip
            convolution_spatial_dims=("int64", len(paired(graph.strides, 1))),
            convolution_dilations=("int64", *paired(graph.dilations, 1)),
            convolution_strides=("int64", *paired(graph.strides, 1)),
            convolution_pre_paddings=("int64", *paired(graph.pads_before, 0)),
            convolution_post_paddings=("int64", *paired(graph.pads_after, 0)),
        )
        return made(
            OPERATION_CONVOLUTION_FORWARD,
            forward_convolution=("descriptor", convolution),
            forward_input=("descriptor", TensorSpec.of(graph.input).descriptor(INPUT)),
            forward_weights=("descriptor", TensorSpec.of(graph.weights).descriptor(WEIGHTS)),
            forward_output=("descriptor", result),
            forward_alpha=("float", 1.0),
            forward_beta=("float", 0.0),
        )

    def _pointwise(self, step: PointwiseStep, target: Descriptor) -> Descriptor:
        kind = Descriptor(POINTWISE)
        kind.set("pointwise_mode", "pointwise_mode", step.mode)
        kind.set("pointwise_precision", "data_type", DATA_TYPES[DataType.FLOAT32])
        for name, value in step.parameters.items():
            kind.set(name, "double", value)
        operands = list(step.operands)
        if step.mode in _COMMUTATIVE:  # engines expect the running value first
            operands.sort(key=lambda operand: not isinstance(operand, int) and operand != Input(0))
        operation = Descriptor(OPERATION_POINTWISE)
        operation.set("operation_pointwise", "descriptor", kind.finalize())
        for name, operand in zip(("operation_x", "operation_b"), operands, strict=False):
            operation.set(name, "descriptor", self._operand(operand))
        return operation.set("operation_y", "descriptor", target).finalize()

    def _operand(self, operand: Input | Constant | int) -> Descriptor:
        if isinstance(operand, int):
            return self._results[operand]
        if operand not in self._operands:
            self._operands[operand] = self._outside(operand)
        return self._operands[operand]

    def _outside(self, operand: Input | Constant) -> Descriptor:
        if isinstance(operand, Constant):
            self._hidden += 1
            self.constants[self._hidden] = operand.value
            ones = (1,) * len(self._output.dims)
            spec = TensorSpec(DataType.FLOAT32, ones, ones)
            return spec.descriptor(self._hidden, by_value=True)
        given = self._graph.operands
        if not 1 <= operand.index <= len(given):
            raise ShapeError(f"the expression reads operand {operand.index} of {len(given)}")
        spec = TensorSpec.operand(given[operand.index - 1], operand.axis, self._rank)
        return spec.descriptor(FIRST_OPERAND + operand.index - 1)
