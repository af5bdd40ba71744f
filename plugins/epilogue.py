"""What a layer may be asked to do to its result before storing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .expression import Expression, Input, evaluate, inputs_of, rename


@dataclass(frozen=True)
class EpilogueStep:
    """One fused pointwise layer.

    In `expression`, Input(0) is the running value; Input(1), Input(2)... are `operands`
    further inputs, which the fused layer finds behind its own inputs.
    """

    expression: Expression
    operands: int = 0
    name: str = ""


@dataclass(frozen=True)
class Epilogue:
    """An ordered list of steps, applied to output 0 of a layer before it is stored."""

    steps: tuple[EpilogueStep, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)

    @property
    def operands(self) -> int:
        """Number of extra inputs all steps take together."""
        return sum(step.operands for step in self.steps)

    def then(self, step: EpilogueStep) -> Epilogue:
        """This epilogue with one more step."""
        return Epilogue((*self.steps, step))

    def composed(self) -> Expression:
        """One expression: Input(0) is the layer's result, Input(k) its k-th extra operand."""
        total: Expression = Input(0)
        first = 1
        for step in self.steps:
            shift: dict[Input, Expression] = {}
            for leaf in inputs_of(step.expression):
                if leaf.index == 0:
                    shift[leaf] = total
                else:
                    shift[leaf] = Input(leaf.index - 1 + first, leaf.axis)
            total = rename(step.expression, shift)
            first += step.operands
        return total

    def apply(self, value: Any, operands: Sequence[Any]) -> Any:
        """NumPy meaning, for references and tests."""
        rest = list(operands)
        for step in self.steps:
            mine, rest = rest[: step.operands], rest[step.operands :]
            value = evaluate(step.expression, [value, *mine], rank=value.ndim)
        return value
