"""Matrix products by cuBLASLt, for the layers that have such: which sums and activations it takes
into them, and its algorithms as tactics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ..plugins import (
    DataType,
    DeviceError,
    Epilogue,
    Expression,
    Input,
    Stream,
    Tactic,
    TensorDesc,
    TensorView,
)
from ..plugins.expression import Constant, maximum
from ..plugins.expression.functions import tanh
from ..plugins.expression.nodes import Apply
from ..plugins.native.cuda import cublaslt
from ..plugins.native.cuda.cublaslt.matrix_product import Activation
from .kernels_cuda import ACCESS_BYTES

PREFIX = "cuda:cublaslt:"
TF32 = "tf32:"
"""Follows the prefix where float32 is rounded for the tensor cores."""

TYPES = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)

MOST_ALGORITHMS = 8
"""The heuristic gives the most promising first."""


@dataclass(frozen=True)
class FusedSum:
    """activation(product + residual + bias): inputs of the layer by position, None for none."""

    activation: Activation = "none"
    residual: int | None = None
    bias: int | None = None


def fused_sum(
    epilogue: Epilogue, inputs: Sequence[TensorDesc | None], output: TensorDesc, *,
    columns_axis: int, bias: int | None = None,
) -> FusedSum | None:
    """An epilogue as cuBLASLt takes it; None where it has no such form.

    `inputs` are all of the layer's, `bias` the position of the layer's own. A vector counts as
    a bias along `columns_axis` of the output.
    """
    activation, value = _split(epilogue.composed())
    terms = _terms(value)
    if terms is None or terms.count(Input(0)) != 1:
        return None
    first = len(inputs) - epilogue.operands
    residual = None
    for leaf in terms:
        if leaf == Input(0):
            continue
        position = first + leaf.index - 1
        desc = inputs[position]
        if desc is None or desc.dtype is not output.dtype or desc.quantization is not None:
            return None
        if leaf.axis is None and desc.shape == output.shape and residual is None:
            residual = position
        elif bias is None and _is_vector(desc, leaf.axis, output, columns_axis):
            bias = position
        else:
            return None
    return FusedSum(activation, residual, bias)


class LibraryProduct:
    """One algorithm for one product; a residual and a bias are inputs of the layer."""

    def __init__(
        self, product: cublaslt.MatrixProduct, algorithm: str, fused: FusedSum,
        strided: bool = False,
    ) -> None:  # fmt: skip
        self._product = product
        self._algorithm = algorithm
        self._fused = fused
        first = frozenset({0}) if strided else frozenset()
        self.tactic = Tactic(
            f"{PREFIX}{TF32 if product.tf32 else ''}{algorithm}",
            strided_inputs=first, strided_outputs=first,
        )  # fmt: skip
        self.workspace_bytes = 0

    def prepare(self, ordinal: int = 0) -> bool:
        """Make the plan, which tells `workspace_bytes`; False where this GPU has it not."""
        plan = _plan(self._product, self._algorithm, ordinal)
        self.workspace_bytes = 0 if plan is None else plan.workspace_bytes
        return plan is not None

    def accepts(
        self, inputs: Sequence[TensorView | None], output: TensorView,
        workspace: TensorView | None,
    ) -> bool:
        """Whether tensors begin where accesses may, and the workspace is large enough."""
        given = (*inputs, output)
        room = 0 if workspace is None else workspace.desc.nbytes
        aligned = all(view is None or view.offset % ACCESS_BYTES == 0 for view in given)
        return aligned and room >= self.workspace_bytes

    def record(
        self, stream: Stream, left: TensorView, right: TensorView,
        inputs: Sequence[TensorView | None], output: TensorView, workspace: TensorView | None,
    ) -> None:  # fmt: skip
        """Put left times right on the stream, with what is added from `inputs`. Raises
        DeviceError when the plan cannot be made."""
        plan = _plan(self._product, self._algorithm, stream.ordinal)
        if plan is None:
            raise DeviceError(f"this GPU does not have {self.tactic.name}; build the plan again")
        residual, bias = self._fused.residual, self._fused.bias
        plan.execute(
            stream.handle, stream.address(left), stream.address(right), stream.address(output),
            0 if bias is None else _vector(inputs[bias], output.dtype, stream),
            0 if residual is None else _address(inputs[residual], stream),
            0 if workspace is None else stream.address(workspace),
        )  # fmt: skip
        stream.keep(plan)


def products(
    product: cublaslt.MatrixProduct, fused: FusedSum, tactic: str | None = None,
    strided: bool = False,
) -> Iterator[LibraryProduct]:
    """The algorithm with the tactic's name; without one those that the library proposes."""
    if not cublaslt.available():
        return
    if tactic is None:
        for name in _algorithms(product)[:MOST_ALGORITHMS]:
            yield LibraryProduct(product, name, fused, strided)
    elif tactic.startswith(PREFIX):
        name = tactic.removeprefix(PREFIX)
        rounds = name.startswith(TF32)
        yield LibraryProduct(
            replace(product, tf32=rounds), name.removeprefix(TF32), fused, strided
        )


@lru_cache(maxsize=4096)
def _algorithms(product: cublaslt.MatrixProduct, ordinal: int = 0) -> tuple[str, ...]:
    try:
        return tuple(product.algorithms(ordinal))
    except DeviceError:
        return ()


@lru_cache(maxsize=4096)
def _plan(
    product: cublaslt.MatrixProduct, name: str, ordinal: int
) -> cublaslt.ProductPlan | None:
    try:
        return product.build(name, ordinal)
    except DeviceError:
        return None


def _vector(view: TensorView | None, dtype: DataType, stream: Stream) -> int:
    """The address of a bias in the product's type."""
    if view is not None and view.dtype is not dtype and view.desc.value is not None:
        value = view.desc.value
        packed = stream.store.pack(
            ("vector", view.digest, dtype.value),
            lambda: np.ascontiguousarray(value).astype(dtype.numpy),
        )
        return stream.address(packed)
    return _address(view, stream)


def _address(view: TensorView | None, stream: Stream) -> int:
    if view is None:
        raise DeviceError("an input that a matrix product adds is absent")
    return stream.address(view)


def _split(expression: Expression) -> tuple[Activation, Expression]:
    """An expression as an activation of something else."""
    forms: list[tuple[Activation, Callable[[Expression], Expression]]] = [
        ("relu", lambda x: maximum(x, 0)), ("gelu_tanh", _gelu_tanh)
    ]  # fmt: skip
    if isinstance(expression, Apply):
        for below in _below(expression):
            for name, meaning in forms:
                if meaning(below) == expression:
                    return name, below
    return "none", expression


def _gelu_tanh(x: Expression) -> Expression:
    root = (2 / np.pi) ** 0.5
    return x * (tanh((x + (x * x) * x * 0.044715) * float(root)) * 0.5 + 0.5)


def _below(expression: Apply) -> list[Expression]:
    return [part for part in expression.operands if not isinstance(part, Constant)]


def _terms(expression: Expression) -> list[Input] | None:
    """The inputs that an expression adds up; None where it does something else."""
    if isinstance(expression, Input):
        return [expression]
    if not isinstance(expression, Apply) or expression.operator != "add":
        return None
    found: list[Input] = []
    for operand in expression.operands:
        terms = _terms(operand)
        if terms is None:
            return None
        found += terms
    return found


def _is_vector(
    desc: TensorDesc, axis: int | None, output: TensorDesc, columns_axis: int
) -> bool:
    """Whether the operand has one element for each column, and none broadcast."""
    columns = output.sizes[columns_axis]
    if axis is not None:
        return axis % output.rank == columns_axis % output.rank and desc.sizes == (columns,)
    aligned = (1,) * (output.rank - desc.rank) + desc.sizes
    return desc.is_dense and all(
        size == (columns if k == columns_axis % output.rank else 1)
        for k, size in enumerate(aligned)
    )
