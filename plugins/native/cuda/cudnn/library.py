"""cuDNN's backend API, bound without a compiler.

Names and numbers are those of cudnn_graph.h (NVIDIA cuDNN 9 documentation, "Backend API").
"""

from __future__ import annotations

import threading
import weakref
from functools import cache
from typing import Any, cast

from cffi import FFI

from ....errors import DeviceError
from ..devices import Context, current_context
from ..devices import unavailable_reason as no_gpu_reason
from ..driver_calls import CudaError
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
    """cuDNN refused a call; `status` is its number, 3000 and above "not supported"."""

    def __init__(self, message: str, status: int) -> None:
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
    reason = no_gpu_reason()
    if reason is not None:
        return reason
    try:
        library()
    except DeviceError as error:
        return str(error)
    return None


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


class Handle:
    """cuDNN on one GPU; get it by `Handle.of(context)`. `lock` is held from the choice of a
    stream to the end of the call."""

    _creating = threading.Lock()

    def __init__(self, context: Context) -> None:
        self.lock = threading.Lock()
        place = ffi.new("cudnnHandle_t *")
        with context.current():
            check(library().cudnnCreate(place), f"starting cuDNN on GPU {context.ordinal}")
        self.cudnn = place[0]
        weakref.finalize(self, _destroy, context.handle, self.cudnn).atexit = False

    @classmethod
    def of(cls, context: Context) -> Handle:
        """The handle of this GPU, made at the first request."""
        with cls._creating:
            found = context.attachments.get("cudnn")
            if found is None:
                found = context.attachments["cudnn"] = cls(context)
            return cast(Handle, found)


def _destroy(context: Any, handle: Any) -> None:
    try:
        with current_context(context):
            library().cudnnDestroy(handle)
    except CudaError:  # after a fatal error nothing can be released
        return
