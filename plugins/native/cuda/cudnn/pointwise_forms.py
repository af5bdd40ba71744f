"""Scalar expressions as pointwise operations of cuDNN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import pi
from math import sqrt as root

from ....errors import DeviceError
from ....expression import Expression, Input
from ....expression.analysis import rename, walk
from ....expression.functions import erf, exp, log, logistic, maximum, minimum, tanh, where
from ....expression.nodes import Apply, Constant, apply

# cudnnPointwiseMode_t
PLAIN_MODES = {
    "add": 0, "mul": 1, "min": 2, "max": 3, "sqrt": 4, "div": 6, "pow": 8, "sub": 9, "abs": 10,
    "ceil": 11, "cos": 12, "exp": 13, "floor": 14, "log": 15, "neg": 16, "rsqrt": 17, "sin": 18,
    "erf": 20, "tanh": 101, "logistic": 102,
}  # fmt: skip
IDENTITY, RELU, ELU, GELU, SOFTPLUS, SWISH, GELU_TANH = 21, 100, 103, 104, 105, 106, 107

Operand = Input | Constant | int
"""An input of the expression, a number, or the result of an earlier step."""


@dataclass(frozen=True)
class PointwiseStep:
    """One operation: its mode, parameters (attribute -> value) and one or two operands."""

    mode: int
    operands: tuple[Operand, ...]
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Form:
    mode: int
    parameters: Mapping[str, float] = field(default_factory=dict)


def pointwise_steps(expression: Expression) -> list[PointwiseStep]:
    """The operations that compute an expression, the last one its result.

    Raises DeviceError for operators that cuDNN does not have; whether an engine takes the
    whole is another matter.
    """
    steps: list[PointwiseStep] = []
    known: dict[Expression, Operand] = {}

    def lower(node: Expression) -> Operand:
        if isinstance(node, (Input, Constant)):
            return node
        if node not in known:
            steps.append(_step(node, lower))
            known[node] = len(steps) - 1
        return known[node]

    result = lower(expression)
    if not isinstance(result, int):
        steps.append(PointwiseStep(IDENTITY, (result,)))
    return steps


def biased(expression: Expression, bias: Input, residual_first: bool = False) -> Expression:
    """The expression with a bias added to Input(0), its running value.

    With `residual_first` the bias follows a tensor that the expression adds to Input(0) at
    once: the order of cuDNN's precompiled engines. Where there is none, the same as without.
    """
    x = Input(0)
    if residual_first:
        for node in walk(expression):
            if isinstance(node, Apply) and node.operator == "add" and x in node.operands:
                other = node.operands[1 - node.operands.index(x)]
                if isinstance(other, Input) and other.axis is None:
                    return _with(expression, node, node + bias)
    return rename(expression, {x: x + bias})


def _with(expression: Expression, old: Expression, new: Expression) -> Expression:
    done: dict[Expression, Expression] = {}
    for node in walk(expression):
        if node == old:
            done[node] = new
        elif isinstance(node, Apply):
            done[node] = apply(node.operator, *(done[operand] for operand in node.operands))
        else:
            done[node] = node
    return done[expression]


def _step(node: Expression, lower: Callable[[Expression], Operand]) -> PointwiseStep:
    found = _activation(node)
    if found is not None:
        form, argument = found
        return PointwiseStep(form.mode, (lower(argument),), form.parameters)
    if isinstance(node, Apply) and node.operator in PLAIN_MODES:
        operands = tuple(lower(operand) for operand in node.operands)
        if isinstance(operands[0], Constant) and len(operands) == 1:
            raise DeviceError(f"{node} is a number; fold it before fusing")
        return PointwiseStep(PLAIN_MODES[node.operator], operands)
    name = node.operator if isinstance(node, Apply) else str(node)
    raise DeviceError(f"cuDNN has no pointwise operation {name!r}; use another tactic")


def _activation(node: Expression) -> tuple[_Form, Expression] | None:
    """The activation that a node is, and of what; the largest argument wins."""
    if not isinstance(node, Apply):
        return None
    below = walk(node)[:-1]
    numbers = [term.value for term in below if isinstance(term, Constant)]
    for argument in reversed(below):
        if isinstance(argument, Constant):
            continue
        for form, meaning in _activations_of(argument, numbers):
            if meaning == node:
                return form, argument
    return None


def _activations_of(x: Expression, numbers: list[float]) -> list[tuple[_Form, Expression]]:
    found = [
        (_Form(RELU), maximum(x, 0)),
        (_Form(SWISH, {"swish_beta": 1.0}), x * logistic(x)),
        (_Form(GELU), x * (erf(x * (1 / root(2))) * 0.5 + 0.5)),
        (
            _Form(GELU_TANH),
            x * (tanh((x + (x * x) * x * 0.044715) * root(2 / pi)) * 0.5 + 0.5),
        ),
        (_Form(SOFTPLUS, {"softplus_beta": 1.0}), log(1 + exp(x))),
    ]
    for number in dict.fromkeys(numbers):
        found += [
            (_Form(RELU, {"relu_slope": number}), where(x > 0, x, x * number)),
            (_Form(ELU, {"elu_alpha": number}), where(x > 0, x, number * (exp(x) - 1))),
            (_Form(SWISH, {"swish_beta": number}), x * logistic(x * number)),
            (_Form(RELU, {"relu_upper_clip": number}), minimum(maximum(x, 0), number)),
        ]
    return [*found, (_Form(ELU, {"elu_alpha": 1.0}), where(x > 0, x, exp(x) - 1))]
