"""Compiling a scalar expression to the register program of the C interpreter."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ..data_types import DataType
from ..errors import DeviceError
from ..expression import Apply, Constant, Expression, Input, apply, inputs_of, walk
from ._extension import lib

_INT64_LOW, _INT64_HIGH = -(2**63), 2**63 - 1

# Operators whose result is not an integer even where the operands are.
_REAL_OPERATORS = frozenset(
    {"exp", "log", "sqrt", "rsqrt", "tanh", "logistic", "erf", "sin", "cos", "div"}
)

# Operators that leave integers as they are.
_INTEGER_IDENTITIES = frozenset({"floor", "ceil", "round"})

# Nanoseconds per 1000 float32 elements, roughly, in the first-level cache.
_SIMPLE_COST = 60
_COSTS = {
    "exp": 300, "log": 500, "tanh": 600, "logistic": 400, "erf": 700, "sin": 400, "cos": 400,
    "div": 120, "sqrt": 150, "rsqrt": 250, "pow": 10000, "mod": 10000,
}  # fmt: skip

_CONSTANT = struct.Struct("@iidq")
_INSTRUCTION = struct.Struct("@5H")


@dataclass(frozen=True)
class Instruction:
    """registers[result] = operator(registers[operands]...)."""

    operator: str
    result: int
    operands: tuple[int, ...]


@dataclass(frozen=True)
class ExpressionProgram:
    """Instructions over numbered registers; leaf i is loaded into register i.

    `output` is the register stored at the end: a leaf's where there are no instructions, else
    one that only the last instruction writes and none reads.
    """

    compute: DataType
    leaves: tuple[Input, ...]
    constants: tuple[tuple[int, float], ...]
    instructions: tuple[Instruction, ...]
    output: int
    register_count: int

    @property
    def cost(self) -> int:
        """Nanoseconds per 1000 elements, loads and stores apart."""
        total = sum(_COSTS.get(step.operator, _SIMPLE_COST) for step in self.instructions)
        return total if self.compute is DataType.FLOAT32 else 2 * total

    @cached_property
    def packed(self) -> bytes:
        """Constants and instructions as the kernel's argument block holds them."""
        parts = []
        for register, value in self.constants:
            whole = int(value) if self.compute is DataType.INT64 else 0
            whole = min(max(whole, _INT64_LOW), _INT64_HIGH)
            parts.append(_CONSTANT.pack(register, 0, value, whole))
        for step in self.instructions:
            a, b, c = (*step.operands, *step.operands[:1] * 2)[:3]
            number = getattr(lib, f"PLUGRT_OP_{step.operator.upper()}")
            parts.append(_INSTRUCTION.pack(number, step.result, a, b, c))
        return b"".join(parts)


def compute_type(
    expression: Expression, inputs: Mapping[int, DataType], output: DataType
) -> DataType:
    """The type to evaluate in: FLOAT64, FLOAT32, or INT64 where nothing is fractional."""
    leaves = [inputs[leaf.index] for leaf in inputs_of(expression)]
    types = {*leaves, output}
    if DataType.FLOAT64 in types:
        return DataType.FLOAT64
    if any(dtype.is_float for dtype in types):
        return DataType.FLOAT32
    if not any(_is_real(node) for node in walk(expression)):
        return DataType.INT64
    narrow = all(dtype.itemsize <= 2 for dtype in leaves)
    return DataType.FLOAT32 if narrow else DataType.FLOAT64


def _is_real(node: Expression) -> bool:
    if isinstance(node, Constant):
        return not float(node.value).is_integer()
    return isinstance(node, Apply) and node.operator in _REAL_OPERATORS


def compile_expression(expression: Expression, compute: DataType) -> ExpressionProgram:
    """The program of an expression. Raises DeviceError when it needs too many registers."""
    return _Compiler(lowered(expression, compute), compute).program()


def lowered(expression: Expression, compute: DataType) -> Expression:
    """The expression without what the interpreter lacks, or what is slow on any device."""
    done: dict[Expression, Expression] = {}
    for node in walk(expression):
        if not isinstance(node, Apply):
            done[node] = node
            continue
        operands = [done[operand] for operand in node.operands]
        done[node] = Apply(node.operator, tuple(operands))
        if compute is DataType.INT64 and node.operator in _INTEGER_IDENTITIES:
            done[node] = operands[0]
        elif node.operator == "pow" and isinstance(operands[1], Constant):
            done[node] = _power(operands[0], operands[1].value, compute) or done[node]
        elif node.operator == "tanh":
            done[node] = _tanh_of_softplus(operands[0]) or done[node]
    return done[expression]


def _tanh_of_softplus(term: Expression) -> Expression | None:
    """tanh(log(1 + e)) for e = exp(u) without two of its three transcendental functions.

    It equals (e^2 + 2 e) / (e^2 + 2 e + 2), which is 1 in float64 too once u reaches 20.
    """
    match term:
        case Apply("log", (Apply("add", (Apply("exp", (u,)), Constant(1.0))),)):
            power = apply("exp", apply("min", u, 20))
            grown = apply("mul", power, apply("add", power, 2))
            return apply("div", grown, apply("add", grown, 2))
    return None


def _power(base: Expression, exponent: float, compute: DataType) -> Expression | None:
    """Small powers by multiplication; None for others."""
    if compute is DataType.INT64 and exponent < 0:
        return None
    if exponent == -0.5:
        return apply("rsqrt", base)
    if exponent < 0:
        inverse = _power(base, -exponent, compute)
        return None if inverse is None else apply("div", 1, inverse)
    if exponent == 1:
        return base
    if exponent in (2, 3, 4):
        square = apply("mul", base, base)
        return apply("mul", square, square if exponent == 4 else base) if exponent > 2 else square
    return None


class _Compiler:
    """Assigns registers in the order of evaluation; temporaries are reused when dead."""

    def __init__(self, expression: Expression, compute: DataType) -> None:
        self._expression = expression
        self._compute = compute
        self._leaves = inputs_of(expression)
        self._fused = self._fusible_products() if compute is not DataType.INT64 else {}
        self._order = [node for node in walk(expression) if node not in self._fused.values()]
        self._registers: dict[Expression, int] = {
            leaf: register for register, leaf in enumerate(self._leaves)
        }
        self._count = len(self._leaves)
        self._constants: list[tuple[int, float]] = []
        self._temporaries: set[int] = set()
        self._free: list[int] = []

    def program(self) -> ExpressionProgram:
        """Compile."""
        for node in self._order:
            if isinstance(node, Constant):
                self._registers[node] = self._new()
                self._constants.append((self._registers[node], node.value))
        instructions = self._instructions()
        root = self._registers[self._expression]
        if isinstance(self._expression, Constant):
            result = self._new()
            instructions.append(Instruction("copy", result, (root,)))
            root = result
        program = ExpressionProgram(
            self._compute,
            self._leaves,
            tuple(self._constants),
            tuple(instructions),
            root,
            self._count,
        )
        if self._count > lib.PLUGRT_POINTWISE_MAX_REGISTERS // 2:
            raise DeviceError(
                f"an expression that needs {self._count} registers is too complex for one pass; "
                f"split it (the limit is {lib.PLUGRT_POINTWISE_MAX_REGISTERS // 2})"
            )
        return program

    def _instructions(self) -> list[Instruction]:
        last_use = {
            operand: position
            for position, node in enumerate(self._order)
            for operand in self._operands(node)
        }
        instructions = []
        for position, node in enumerate(self._order):
            if not isinstance(node, Apply):
                continue
            operands = self._operands(node)
            sources = tuple(self._registers[operand] for operand in operands)
            for operand in dict.fromkeys(operands):
                register = self._registers[operand]
                if register in self._temporaries and last_use[operand] == position:
                    self._free.append(register)
            if node == self._expression:
                result = self._new()
            elif self._free:
                result = self._free.pop()
            else:
                result = self._new()
                self._temporaries.add(result)
            self._registers[node] = result
            operator = "fma" if node in self._fused else node.operator
            instructions.append(Instruction(operator, result, sources))
        return instructions

    def _operands(self, node: Expression) -> tuple[Expression, ...]:
        if not isinstance(node, Apply):
            return ()
        product = self._fused.get(node)
        if product is None:
            return node.operands
        left, right = node.operands
        return (*product.operands, right if left == product else left)

    def _fusible_products(self) -> dict[Expression, Apply]:
        """Sums a * b + c whose product nobody else needs.

        Only where c is a leaf: fusing skips a rounding, so that a computed c, meant to cancel
        the product, would not.
        """
        users: dict[Expression, int] = {}
        for node in walk(self._expression):
            for operand in node.operands if isinstance(node, Apply) else ():
                users[operand] = users.get(operand, 0) + 1
        fused: dict[Expression, Apply] = {}
        for node in walk(self._expression):
            if not isinstance(node, Apply) or node.operator != "add":
                continue
            for product, other in (node.operands, node.operands[::-1]):
                if (
                    isinstance(product, Apply)
                    and product.operator == "mul"
                    and users[product] == 1
                    and not isinstance(other, Apply)
                ):
                    fused[node] = product
                    break
        return fused

    def _new(self) -> int:
        self._count += 1
        return self._count - 1
