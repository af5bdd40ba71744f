"""cuDNN's backend API, bound without a compiler.

Names and numbers are those of cudnn_graph.h (NVIDIA cuDNN 9 documentation, "Backend API").
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from cffi import FFI

from ....errors import DeviceError
from ..bound_library import LibraryHandle, reason_without
from ..devices import Context
from ..libraries import library_path, text_of

OLDEST = (9, 0, 0)

ffi = FFI()
ffi.cdef("""
    typedef void *cudnnHandle_t;
    typedef void *cudnnBackendDescriptor_t;
    size_t cudnnGetVersion(void);
    const char *cudnnGetErrorString(int status);
    void cudnnGetLastErrorString(char *message, size_t max_size);
    int cudnnCreate(cudnnHandle_t *handle);
    int cudnnDestroy(cudnnHandle_t handle);
    int cudnnSetStream(cudnnHandle_t handle, void *stream);
    int cudnnBackendCreateDescriptor(int type, cudnnBackendDescriptor_t *descriptor);
    int cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor);
    int cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor);
    int cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, int name, int type,
                                 int64_t count, const void *elements);
    int cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, int name, int type,
                                 int64_t requested, int64_t *count, void *elements);
    int cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                            cudnnBackendDescriptor_t pack);
""")


class CudnnError(DeviceError):
    """cuDNN refused a call; `status` is its number, 3000 and above "not supported", and 0 where a
    layer's name was added."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_unsupported(self) -> bool:
        """Whether another engine or type may do."""
        return 2000 <= self.status < 4000


@cache
def library() -> Any:
    """The loaded library. Raises DeviceError when it is missing or too old."""
    loaded: Any = ffi.dlopen(library_path("cudnn"))
    found = _split(int(loaded.cudnnGetVersion()))
    if found < OLDEST:
        raise DeviceError(
            f"cuDNN {'.'.join(map(str, found))} is too old; install 9.0 or newer "
            "(nvidia-cudnn-cu13, nvidia-cudnn-cu12)"
        )
    return loaded


def version() -> tuple[int, int, int]:
    """The version of cuDNN. Raises DeviceError when it cannot be loaded."""
    return _split(int(library().cudnnGetVersion()))


def _split(number: int) -> tuple[int, int, int]:
    return number // 10000, number // 100 % 100, number % 100


@cache
def unavailable_reason() -> str | None:
    """Why cuDNN cannot be used, with what to do; None when it can."""
    return reason_without(library)


def available() -> bool:
    """True when a GPU and cuDNN are present."""
    return unavailable_reason() is None


def check(status: int, doing: str) -> None:
    """Raise CudnnError, with cuDNN's own explanation, unless the status is success."""
    if status:
        message = ffi.new("char[]", 512)
        library().cudnnGetLastErrorString(message, 512)
        name = text_of(library().cudnnGetErrorString(status))
        said = text_of(message).strip()
        raise CudnnError(f"{doing}: cuDNN says {name}{f' ({said})' if said else ''}", status)


class Handle(LibraryHandle):
    """cuDNN on one GPU. `lock` is held from the choice of a stream to the end of the call."""

    name = "cuDNN"

    def __init__(self, context: Context) -> None:
        self.lock = threading.Lock()
        super().__init__(context)

    @staticmethod
    def create(doing: str) -> Any:
        place = ffi.new("cudnnHandle_t *")
        check(library().cudnnCreate(place), doing)
        return place[0]

    @staticmethod
    def destroy(address: Any) -> None:
        library().cudnnDestroy(address)
