"""Separable convolutions on a GPU: their convolutions one after the other by our own CUDA kernels,
with what lies between them in the workspace, in the input's type. Biases are float32.

One kernel for the depthwise and the 1x1 convolution, with what lies between in shared memory, was
1.7 to 7 times slower (docs/gpu-kernels.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from ...plugins import (
    DataType,
    DeviceError,
    Epilogue,
    EpilogueStep,
    Expression,
    Input,
    Stream,
    Tactic,
    TensorDesc,
    TensorView,
)
from ...plugins.expression import maximum, minimum, where
from ..activation import Activation
from ..convolution import candidates_cuda
from ..convolution.problem import Candidate, ConvolutionProblem
from ..sliding_window import POINT, SlidingWindow
from ..workspace import WorkspaceParts, aligned, workspace_size
from .kernel import Problem

NAME = "cuda:separable"


@dataclass(frozen=True)
class Step:
    """One of the convolutions: what it writes, how it is computed, and the positions of the
    layer's inputs that it reads beside what the step before wrote."""

    result: TensorDesc
    candidate: Candidate
    parameters: tuple[int, ...]


@dataclass(frozen=True)
class Steps:
    """All convolutions of a layer."""

    steps: tuple[Step, ...]

    @property
    def tactic(self) -> Tactic:
        """The steps as the tuner knows them."""
        first, last = self.steps[0].candidate.tactic, self.steps[-1].candidate.tactic
        return Tactic(
            NAME, strided_inputs=first.strided_inputs & {0},
            strided_outputs=last.strided_outputs & {0},
        )  # fmt: skip

    @property
    def workspace_bytes(self) -> int:
        """Bytes of what lies between, and of the most that a step takes."""
        between = workspace_size([step.result for step in self.steps[:-1]])
        return between + (aligned(self._scratch) if self._scratch else 0)

    @property
    def _scratch(self) -> int:
        return max(step.candidate.workspace_bytes for step in self.steps)

    def record(
        self, stream: Stream, inputs: Sequence[TensorView], output: TensorView,
        workspace: TensorView | None,
    ) -> None:  # fmt: skip
        """Put them on the stream. Raises DeviceError without enough workspace."""
        room = 0 if workspace is None else workspace.desc.nbytes
        if workspace is None or room < self.workspace_bytes:
            raise DeviceError(
                f"SeparableConvolution's tactic {NAME!r} needs {self.workspace_bytes:,} bytes of "
                f"workspace at these shapes and has {room:,}; build the plan again"
            )
        parts = WorkspaceParts(workspace)
        results = [*(parts.take(step.result) for step in self.steps[:-1]), output]
        scratch = parts.bytes(self._scratch) if self._scratch else None
        source = inputs[0]
        for step, result in zip(self.steps, results, strict=True):
            views = [source, *(inputs[position] for position in step.parameters)]
            step.candidate.record(stream, views, result, scratch)
            source = result


def steps(problem: Problem) -> Steps | None:
    """The convolutions of a problem; None where our kernels do not compute one of them."""
    biases = [desc for desc in problem.inputs[2:7:2] if desc is not None]
    if any(desc.dtype is not DataType.FLOAT32 for desc in biases):
        return None
    found = tuple(_steps(problem))
    return None if None in found else Steps(tuple(step for step in found if step is not None))


def _steps(problem: Problem) -> Iterator[Step | None]:
    source = problem.source

    def between(spatial: Sequence[int]) -> TensorDesc:
        return TensorDesc(
            source.dtype, (source.sizes[0], problem.between, *spatial), source.format
        )

    expanded = source
    if problem.expands:
        expanded = between(source.sizes[2:])
        yield _step(problem, source, expanded, (5, 6), POINT, _activated(problem.expansion))
    filtered = between(problem.output.sizes[2:])
    yield _step(
        problem, expanded, filtered, (1, 2), problem.window, _activated(problem.filter),
        problem.between,
    )  # fmt: skip
    yield _step(problem, filtered, problem.output, (3, 4), POINT, problem.epilogue)


def _step(
    problem: Problem, source: TensorDesc, result: TensorDesc, parameters: tuple[int, int],
    window: SlidingWindow, epilogue: Epilogue, groups: int = 1,
) -> Step | None:  # fmt: skip
    """A convolution with the layer's inputs `parameters` as weights and bias, and with its
    operands where it ends in the layer's epilogue."""
    operands = range(len(problem.inputs) - epilogue.operands, len(problem.inputs))
    positions = (*parameters, *operands)
    weights, bias = (problem.inputs[position] for position in parameters)
    if weights is None or bias is None:
        return None
    one = ConvolutionProblem(
        (source, *(problem.inputs[position] for position in positions)), source, weights, bias,
        result, window, groups, epilogue, 1, "cuda",
    )  # fmt: skip
    for candidate in candidates_cuda.own_candidates(one, alone=True):
        if candidate.prepare():
            return Step(result, candidate, positions)
    return None


def _activated(activation: Activation) -> Epilogue:
    slope, least, greatest = activation.parameters
    x: Expression = Input(0)
    value = x if slope == 1 else where(x > 0, x, x * slope)
    if least > -inf:
        value = maximum(value, least)
    if greatest < inf:
        value = minimum(value, greatest)
    return Epilogue() if value is x else Epilogue((EpilogueStep(value),))
