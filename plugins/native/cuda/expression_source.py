"""Scalar expressions as CUDA C++ statements, over the operators of expression.cuh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isinf, isnan

from ...data_types import DataType
from ...errors import DeviceError
from ...expression import Apply, Constant, Expression, Input, walk
from ..expression_program import lowered

COMPUTE_TYPES = {
    DataType.FLOAT32: "float",
    DataType.FLOAT64: "double",
    DataType.INT64: "long long",
}
"""Types that expressions are computed in, and their names in CUDA C++."""

STORED_TYPES = {
    dtype: f"plugrt::{name}"
    for dtype, name in {
        DataType.FLOAT16: "float16",
        DataType.BFLOAT16: "bfloat16",
        DataType.FLOAT8_E4M3FN: "float8_e4m3fn",
        DataType.FLOAT8_E5M2: "float8_e5m2",
        DataType.INT8: "int8",
        DataType.UINT8: "uint8",
        DataType.INT16: "int16",
        DataType.UINT16: "uint16",
        DataType.INT32: "int32",
        DataType.UINT32: "uint32",
        DataType.INT64: "int64",
        DataType.UINT64: "uint64",
        DataType.BOOL: "boolean",
    }.items()
} | {DataType.FLOAT32: "float", DataType.FLOAT64: "double"}
"""Types of tensors that kernels read and write, and their names in storage.cuh."""

NARROW = frozenset({
    DataType.FLOAT16, DataType.BFLOAT16, DataType.FLOAT8_E4M3FN, DataType.FLOAT8_E5M2,
    DataType.INT8, DataType.UINT8,
})  # fmt: skip
"""Stored types whose own rounding hides that of the quick functions."""

_QUICK = frozenset({"exp", "logistic"})

_INT64_LIMITS = (-(2**63), 2**63 - 1)


@dataclass(frozen=True)
class ExpressionSource:
    """Statements that compute an expression, one per line, and the name of its value."""

    statements: tuple[str, ...]
    result: str

    def indented(self, spaces: int) -> str:
        """The statements, each on a line of its own."""
        return "\n".join(" " * spaces + statement for statement in self.statements)


def lower(
    expression: Expression,
    names: Mapping[Input, str],
    compute: DataType = DataType.FLOAT32,
    *,
    quick: bool = False,
) -> ExpressionSource:
    """The expression in the type `compute`; `names` tells what each input is called there.

    With `quick` exponentials are a few units in the last place of float32 away, for results
    stored in NARROW types. Raises DeviceError for a type that nothing is computed in.
    """
    if compute not in COMPUTE_TYPES:
        allowed = ", ".join(dtype.value for dtype in COMPUTE_TYPES)
        raise DeviceError(f"expressions are not computed in {compute.value}; use: {allowed}")
    ctype = COMPUTE_TYPES[compute]
    values: dict[Expression, str] = {}
    statements: list[str] = []
    whole = lowered(expression, compute)
    for node in walk(whole):
        if isinstance(node, Input):
            values[node] = names[node]
        elif isinstance(node, Constant):
            values[node] = _literal(node.value, compute)
        elif isinstance(node, Apply):
            operands = ", ".join(values[operand] for operand in node.operands)
            function = f"{node.operator}_"
            if quick and compute is DataType.FLOAT32 and node.operator in _QUICK:
                function = f"quick_{node.operator}"
            values[node] = f"t{len(statements)}"
            statements.append(
                f"const {ctype} {values[node]} = plugrt::operators::{function}({operands});"
            )
    return ExpressionSource(tuple(statements), values[whole])


def _literal(value: float, compute: DataType) -> str:
    """A constant of exactly this value."""
    if compute is DataType.INT64:
        least, most = _INT64_LIMITS
        whole = 0 if isnan(value) else most if value >= most else max(int(value), least)
        return f"({whole + 1}LL - 1)" if whole == least else f"{whole}LL"
    ctype = COMPUTE_TYPES[compute]
    if isnan(value):
        return f"(plugrt::infinity<{ctype}>() - plugrt::infinity<{ctype}>())"
    if isinf(value) or (compute is DataType.FLOAT32 and abs(value) > 3.4028235677973366e38):
        return f"{'-' if value < 0 else ''}plugrt::infinity<{ctype}>()"
    # A double, rounded once: a hexadecimal literal is exact.
    text = f"static_cast<float>({value.hex()})" if compute is DataType.FLOAT32 else value.hex()
    return f"({text})"
