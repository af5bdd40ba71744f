"""Matrix products with bias, activation and residual, algorithm by algorithm."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, Literal

from ....data_types import DataType
from ....errors import DeviceError
from ..devices import Context
from .algorithms import configure, identity_of, name_of
from .library import INVALID_VALUE, NOT_SUPPORTED, Handle, check, ffi, library

# cudaDataType_t
DATA_TYPES = {
    DataType.FLOAT32: 0, DataType.FLOAT64: 1, DataType.FLOAT16: 2, DataType.BFLOAT16: 14,
}  # fmt: skip
COMPUTE_32F, COMPUTE_64F, COMPUTE_32F_FAST_TF32 = 68, 70, 77
# cublasLtMatmulDescAttributes_t and cublasLtEpilogue_t
TRANSPOSE_A, TRANSPOSE_B, EPILOGUE, BIAS_POINTER = 3, 4, 7, 8
PLAIN, RELU, BIAS, GELU_TANH = 1, 2, 4, 32
# cublasLtMatrixLayoutAttribute_t, cublasLtMatmulPreferenceAttributes_t
BATCH_COUNT, BATCH_OFFSET = 5, 6
MAXIMUM_WORKSPACE = 1
MINIMUM_ALIGNMENTS = (5, 6, 7, 8)
ALIGNMENT = 16
"""What the engine promises of addresses; cuBLASLt would assume 256 bytes."""

WORKSPACE_ALIGNMENT = 256
"""cuBLASLt refuses scratch memory that begins elsewhere; an engine's begins at any 64 bytes."""

MOST_ALGORITHMS = 16
DEFAULT_WORKSPACE = 32 << 20

Activation = Literal["none", "relu", "gelu_tanh"]


@dataclass(frozen=True)
class MatrixProduct:
    """d = activation(a @ b + residual + bias), all row-major and of one type.

    a is (rows, depth), b (columns, depth) or, with `b_is_plain`, (depth, columns); d and the
    residual are (rows, columns), the bias has `columns` elements. `*_stride` are elements from
    row to row where rows are parts of longer ones. `batch` products lie `*_batch_stride`
    elements apart; 0 shares one matrix. Accumulates in float32; `tf32` lets float32 inputs be
    rounded.
    """

    rows: int
    columns: int
    depth: int
    dtype: DataType
    bias: bool = False
    activation: Activation = "none"
    residual: bool = False
    b_is_plain: bool = False
    tf32: bool = False
    a_stride: int | None = None
    d_stride: int | None = None
    residual_stride: int | None = None
    batch: int = 1
    a_batch_stride: int = 0
    b_batch_stride: int = 0
    d_batch_stride: int = 0

    def algorithms(self, ordinal: int = 0, workspace_limit: int = DEFAULT_WORKSPACE) -> list[str]:
        """Names of the algorithms that cuBLASLt proposes, the most promising first; empty where
        it cannot do this. Raises DeviceError."""
        context = Context.of(ordinal)
        with context.current():
            return _Operation(self).propose(Handle.of(context), workspace_limit)

    def build(self, name: str, ordinal: int = 0) -> ProductPlan:
        """The algorithm of this name, ready to run. Raises DeviceError when this GPU or version
        does not have it."""
        context = Context.of(ordinal)
        with context.current():
            return ProductPlan(context, self, name)


class ProductPlan:
    """A `MatrixProduct` by one algorithm on one GPU."""

    def __init__(self, context: Context, product: MatrixProduct, name: str) -> None:
        self._context = context
        self._product = product
        self._operation = _Operation(product)
        self._algorithm, self._scratch = self._operation.choose(Handle.of(context), name)
        self.workspace_bytes = self._scratch and self._scratch + WORKSPACE_ALIGNMENT - 1
        """Enough wherever it begins."""

    def execute(
        self, stream: int, a: int, b: int, d: int,
        bias: int = 0, residual: int = 0, workspace: int = 0,
    ) -> None:  # fmt: skip
        """Put it on a stream; all are device addresses, `workspace` that of `workspace_bytes`. In
        a recording: `stream.handle` and `stream.address(view)`. Raises DeviceError."""
        # The bias's address belongs to the description; a fresh one keeps plans shareable.
        operation = _Operation(self._product, bias) if self._product.bias else self._operation
        one, zero = ffi.new("double *", 1.0), ffi.new("double *", 0.0)
        if operation.scale != DATA_TYPES[DataType.FLOAT64]:
            one, zero = ffi.new("float *", 1.0), ffi.new("float *", 0.0)
        has_residual = self._product.residual
        scratch = workspace + -workspace % WORKSPACE_ALIGNMENT if self._scratch else 0
        check(
            library().cublasLtMatmul(
                Handle.of(self._context).address, operation.description, one, _pointer(b),
                operation.b, _pointer(a), operation.a, one if has_residual else zero,
                _pointer(residual if has_residual else d), operation.c, _pointer(d), operation.d,
                self._algorithm, _pointer(scratch), self._scratch, _pointer(stream),
            ),
            "launching a matrix product",
        )  # fmt: skip


class _Operation:
    """Descriptions of operation and matrices. cuBLASLt's matrices are column-major: what is
    (rows, columns) here is (columns, rows) there, so a and b change places."""

    def __init__(self, product: MatrixProduct, bias: int = 256) -> None:
        p = product
        if p.dtype not in DATA_TYPES:
            names = ", ".join(dtype.value for dtype in DATA_TYPES)
            raise DeviceError(f"matrix products take {names}, not {p.dtype.value}; convert first")
        kind = DATA_TYPES[p.dtype]
        double = p.dtype is DataType.FLOAT64
        self.scale = kind if double else DATA_TYPES[DataType.FLOAT32]
        self.compute = COMPUTE_64F if double else COMPUTE_32F
        if p.dtype is DataType.FLOAT32 and p.tf32:
            self.compute = COMPUTE_32F_FAST_TF32
        self.kind = kind
        self.description = self._owned("MatmulDesc", self.compute, self.scale)
        self._describe(TRANSPOSE_A, "int32_t", 0 if p.b_is_plain else 1)
        self._describe(TRANSPOSE_B, "int32_t", 0)
        epilogue = {"none": PLAIN, "relu": RELU, "gelu_tanh": GELU_TANH}[p.activation]
        if p.bias:
            epilogue = BIAS if p.activation == "none" else epilogue | BIAS
            self._describe(BIAS_POINTER, "void *", _pointer(bias))
        self._describe(EPILOGUE, "uint32_t", epilogue)
        stored = (p.columns, p.depth) if p.b_is_plain else (p.depth, p.columns)
        d_stride = p.d_stride or p.columns
        c_stride = (p.residual_stride or p.columns) if p.residual else d_stride
        self.b = self._owned("MatrixLayout", kind, *stored, stored[0])
        self.a = self._owned("MatrixLayout", kind, p.depth, p.rows, p.a_stride or p.depth)
        self.c = self._owned("MatrixLayout", kind, p.columns, p.rows, c_stride)
        self.d = self._owned("MatrixLayout", kind, p.columns, p.rows, d_stride)
        if p.batch > 1:
            for layout, offset in (
                (self.b, p.b_batch_stride), (self.a, p.a_batch_stride),
                (self.c, p.d_batch_stride), (self.d, p.d_batch_stride),
            ):  # fmt: skip
                _set_layout(layout, BATCH_COUNT, "int32_t", p.batch)
                _set_layout(layout, BATCH_OFFSET, "int64_t", offset)

    def propose(self, handle: Handle, workspace_limit: int) -> list[str]:
        preference = self._owned("MatmulPreference")
        wanted = [(MAXIMUM_WORKSPACE, "uint64_t", workspace_limit)]
        wanted += [(attribute, "uint32_t", ALIGNMENT) for attribute in MINIMUM_ALIGNMENTS]
        for attribute, ctype, value in wanted:
            check(
                library().cublasLtMatmulPreferenceSetAttribute(
                    preference, attribute, ffi.new(f"{ctype} *", value), ffi.sizeof(ctype)
                ),
                "describing what is wanted of an algorithm",
            )
        results = ffi.new("cublasLtMatmulHeuristicResult_t[]", MOST_ALGORITHMS)
        found = ffi.new("int *")
        status = library().cublasLtMatmulAlgoGetHeuristic(
            handle.address, self.description, self.b, self.a, self.c, self.d, preference,
            MOST_ALGORITHMS, results, found,
        )
        if status in _CANNOT:
            return []
        check(status, "asking for algorithms")
        usable = [results[k] for k in range(found[0]) if results[k].state == 0]
        return list(dict.fromkeys(name_of(ffi.addressof(r, "algo")) for r in usable))

    def choose(self, handle: Handle, name: str) -> tuple[Any, int]:
        """The algorithm of this name, and its workspace."""
        algorithm = ffi.new("cublasLtMatmulAlgo_t *")
        check(
            library().cublasLtMatmulAlgoInit(
                handle.address, self.compute, self.scale, self.kind, self.kind, self.kind,
                self.kind, identity_of(name), algorithm,
            ),
            f"choosing {name}",
        )
        configure(algorithm, name)
        result: Any = ffi.new("cublasLtMatmulHeuristicResult_t *")
        check(
            library().cublasLtMatmulAlgoCheck(
                handle.address, self.description, self.b, self.a, self.c, self.d, algorithm,
                result,
            ),
            f"checking {name}",
        )
        return algorithm, int(result.workspaceSize)

    def _owned(self, kind: str, *arguments: int) -> Any:
        place = ffi.new(f"cublasLt{kind}_t *")
        check(getattr(library(), f"cublasLt{kind}Create")(place, *arguments), f"making a {kind}")
        destroy = getattr(library(), f"cublasLt{kind}Destroy")
        weakref.finalize(self, destroy, place[0]).atexit = False
        return place[0]

    def _describe(self, attribute: int, ctype: str, value: Any) -> None:
        check(
            library().cublasLtMatmulDescSetAttribute(
                self.description, attribute, ffi.new(f"{ctype}*", value), ffi.sizeof(ctype)
            ),
            "describing a matrix product",
        )


_CANNOT = frozenset({INVALID_VALUE, NOT_SUPPORTED})


def _set_layout(layout: Any, attribute: int, ctype: str, value: int) -> None:
    check(
        library().cublasLtMatrixLayoutSetAttribute(
            layout, attribute, ffi.new(f"{ctype}*", value), ffi.sizeof(ctype)
        ),
        "describing a matrix",
    )


def _pointer(address: int) -> Any:
    return ffi.cast("void *", address)
