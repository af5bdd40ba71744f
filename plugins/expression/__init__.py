"""Scalar expressions: what a pointwise layer computes, as a typed DAG over fixed operators.

Written once by a layer's author, an expression is evaluated by NumPy (reference), matched to
a library's epilogue forms, interpreted by one vectorised C pass, or lowered to CUDA source.

    def pointwise(self) -> Expression:
        x = Input(0)
        return x * tanh(log(1 + exp(x)))          # Mish

Expressions are canonical: operators simplify on construction, so that two ways to write the
same function usually compare equal.
"""

from __future__ import annotations

from . import rules as _rules  # noqa: F401 - imported for what it registers
from .analysis import (
    affine,
    inputs_of,
    rename,
    walk,
)
from .evaluation import (
    evaluate,
)
from .functions import (
    clip,
    equal,
    erf,
    exp,
    log,
    logistic,
    maximum,
    minimum,
    rounded,
    sqrt,
    tanh,
    where,
)
from .nodes import (
    COMMUTATIVE,
    OPERATORS,
    Apply,
    Constant,
    Expression,
    ExpressionLike,
    Input,
    apply,
    constant,
)
from .plain import (
    from_plain,
    to_plain,
)

__all__ = [
    "COMMUTATIVE",
    "OPERATORS",
    "Apply",
    "Constant",
    "Expression",
    "ExpressionLike",
    "Input",
    "affine",
    "apply",
    "clip",
    "constant",
    "equal",
    "erf",
    "evaluate",
    "exp",
    "from_plain",
    "inputs_of",
    "log",
    "logistic",
    "maximum",
    "minimum",
    "rename",
    "rounded",
    "sqrt",
    "tanh",
    "to_plain",
    "walk",
    "where",
]
