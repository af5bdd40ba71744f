"""cuBLASLt, bound without a compiler.

Names and numbers are those of cublasLt.h (NVIDIA cuBLAS documentation, "Using the cuBLASLt API").
"""

from __future__ import annotations

from functools import cache
from typing import Any

from cffi import FFI

from ....errors import DeviceError
from ..bound_library import LibraryHandle, reason_without
from ..libraries import library_path, text_of

ffi = FFI()
ffi.cdef("""
    typedef void *cublasLtHandle_t;
    typedef void *cublasLtMatmulDesc_t;
    typedef void *cublasLtMatrixLayout_t;
    typedef void *cublasLtMatmulPreference_t;
    typedef struct { uint64_t data[8]; } cublasLtMatmulAlgo_t;
    typedef struct {
        cublasLtMatmulAlgo_t algo;
        size_t workspaceSize;
        int state;
        float wavesCount;
        int reserved[4];
    } cublasLtMatmulHeuristicResult_t;
    size_t cublasLtGetVersion(void);
    const char *cublasLtGetStatusString(int status);
    int cublasLtCreate(cublasLtHandle_t *handle);
    int cublasLtDestroy(cublasLtHandle_t handle);
    int cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, int compute, int scale);
    int cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc);
    int cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, int attribute,
                                       const void *value, size_t size);
    int cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, int type, uint64_t rows,
                                   uint64_t columns, int64_t leading);
    int cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout);
    int cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, int attribute,
                                         const void *value, size_t size);
    int cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference);
    int cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference);
    int cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                             int attribute, const void *value, size_t size);
    int cublasLtMatmulAlgoGetHeuristic(
        cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
        cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
        cublasLtMatmulPreference_t preference, int requested,
        cublasLtMatmulHeuristicResult_t *results, int *found);
    int cublasLtMatmulAlgoInit(
        cublasLtHandle_t handle, int compute, int scale, int a, int b, int c, int d, int number,
        cublasLtMatmulAlgo_t *algo);
    int cublasLtMatmulAlgoCheck(
        cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
        cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
        const cublasLtMatmulAlgo_t *algo, cublasLtMatmulHeuristicResult_t *result);
    int cublasLtMatmulAlgoConfigGetAttribute(
        const cublasLtMatmulAlgo_t *algo, int attribute, void *value, size_t size,
        size_t *written);
    int cublasLtMatmulAlgoConfigSetAttribute(
        cublasLtMatmulAlgo_t *algo, int attribute, const void *value, size_t size);
    int cublasLtMatmul(
        cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *a,
        cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout,
        const void *beta, const void *c, cublasLtMatrixLayout_t c_layout, void *d,
        cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo, void *workspace,
        size_t workspace_size, void *stream);
""")

# cublasStatus_t
INVALID_VALUE, NOT_SUPPORTED = 7, 15


class CublasLtError(DeviceError):
    """cuBLASLt refused a call; `status` is its number, 0 where a layer's name was added."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@cache
def library() -> Any:
    """The loaded library. Raises DeviceError when it is missing."""
    return ffi.dlopen(library_path("cublasLt"))


def version() -> tuple[int, int, int]:
    """The version of cuBLASLt. Raises DeviceError when it cannot be loaded."""
    number = int(library().cublasLtGetVersion())
    return number // 10000, number // 100 % 100, number % 100


@cache
def unavailable_reason() -> str | None:
    """Why cuBLASLt cannot be used, with what to do; None when it can."""
    return reason_without(library)


def available() -> bool:
    """True when a GPU and cuBLASLt are present."""
    return unavailable_reason() is None


def check(status: int, doing: str) -> None:
    """Raise CublasLtError unless the status is success."""
    if status:
        name = text_of(library().cublasLtGetStatusString(status))
        raise CublasLtError(f"{doing}: cuBLASLt says {name}", status)


class Handle(LibraryHandle):
    """cuBLASLt on one GPU. Threads may share it."""

    name = "cuBLASLt"

    @staticmethod
    def create(doing: str) -> Any:
        place = ffi.new("cublasLtHandle_t *")
        check(library().cublasLtCreate(place), doing)
        return place[0]

    @staticmethod
    def destroy(address: Any) -> None:
        library().cublasLtDestroy(address)
