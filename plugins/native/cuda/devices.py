"""The GPUs of this machine, and their primary contexts."""

from __future__ import annotations

import threading
import weakref
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from ...errors import DeviceError
from .driver_calls import CudaError, call, explained
from .packages import driver

OLDEST_DRIVER = (12, 2)
"""The CUDA version that a driver must support: stream-ordered memory, graphs, libraries."""

CONDITIONAL_NODES = (12, 4)
"""The CUDA version from which graphs decide and loop by themselves."""

OLDEST_CAPABILITY = (7, 5)


@cache
def unavailable_reason() -> str | None:
    """Why no GPU can be used, with what to do; None when one can. Asked once per process."""
    try:
        initialize()
    except DeviceError as error:
        return str(error)
    return None


def available() -> bool:
    """True when the packages, a driver and a GPU are present."""
    return unavailable_reason() is None


@cache
def initialize() -> None:
    """Initialise the driver, once. Raises DeviceError when CUDA cannot be used."""
    call("cuInit", 0, what="starting CUDA")
    found = driver_version()
    if found < OLDEST_DRIVER:
        raise DeviceError(
            f"the driver supports CUDA {found[0]}.{found[1]}; plugrt needs "
            f"{OLDEST_DRIVER[0]}.{OLDEST_DRIVER[1]} or newer: install a newer driver"
        )
    if not call("cuDeviceGetCount"):
        raise DeviceError(
            "CUDA sees no GPU: look at nvidia-smi and at CUDA_VISIBLE_DEVICES, or use the "
            "device 'cpu'"
        )


def driver_version() -> tuple[int, int]:
    """The newest CUDA version that the driver supports. Raises DeviceError without a driver."""
    number = int(call("cuDriverGetVersion"))
    return number // 1000, number % 1000 // 10


def device_count() -> int:
    """The number of GPUs; 0 where CUDA cannot be used."""
    return int(call("cuDeviceGetCount")) if available() else 0


@dataclass(frozen=True)
class DeviceProperties:
    """What kernels and tactics depend on."""

    ordinal: int
    name: str
    compute_capability: tuple[int, int]
    multiprocessors: int
    threads_per_multiprocessor: int
    l2_bytes: int
    memory_bytes: int
    shared_bytes_per_block: int
    """With the opt-in that `launch_grid` makes where a kernel needs it."""
    shared_bytes_per_multiprocessor: int
    registers_per_multiprocessor: int
    memory_pools: bool
    uuid: str

    @property
    def architecture(self) -> str:
        """Such as "sm_90"."""
        major, minor = self.compute_capability
        return f"sm_{major}{minor}"


@lru_cache(maxsize=64)
def device_properties(ordinal: int = 0) -> DeviceProperties:
    """The properties of a GPU. Raises DeviceError when there is none of this number."""
    device = _handle(ordinal)
    attribute = driver().CUdevice_attribute

    def ask(name: str) -> int:
        return int(call("cuDeviceGetAttribute", getattr(attribute, f"CU_DEVICE_ATTRIBUTE_{name}"),
                        device))  # fmt: skip

    uuid = call("cuDeviceGetUuid_v2" if hasattr(driver(), "cuDeviceGetUuid_v2")
                else "cuDeviceGetUuid", device)  # fmt: skip
    return DeviceProperties(
        ordinal=ordinal,
        name=call("cuDeviceGetName", 128, device).partition(b"\0")[0].decode(),
        compute_capability=(ask("COMPUTE_CAPABILITY_MAJOR"), ask("COMPUTE_CAPABILITY_MINOR")),
        multiprocessors=ask("MULTIPROCESSOR_COUNT"),
        threads_per_multiprocessor=ask("MAX_THREADS_PER_MULTIPROCESSOR"),
        l2_bytes=ask("L2_CACHE_SIZE"),
        memory_bytes=int(call("cuDeviceTotalMem", device)),
        shared_bytes_per_block=ask("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"),
        shared_bytes_per_multiprocessor=ask("MAX_SHARED_MEMORY_PER_MULTIPROCESSOR"),
        registers_per_multiprocessor=ask("MAX_REGISTERS_PER_MULTIPROCESSOR"),
        memory_pools=bool(ask("MEMORY_POOLS_SUPPORTED")),
        uuid=bytes(uuid.bytes)[:16].hex(),
    )


def _handle(ordinal: int) -> Any:
    initialize()
    count = int(call("cuDeviceGetCount"))
    if not 0 <= ordinal < count:
        raise DeviceError(f"GPU {ordinal} does not exist; this process sees {count}, from 0 on")
    return call("cuDeviceGet", ordinal)


class Context:
    """The primary context of a GPU, retained as long as this object lives.

    It is the one that PyTorch, CuPy and the CUDA runtime use, so pointers can be exchanged.
    Get it by `Context.of(ordinal)`.
    """

    _living: weakref.WeakValueDictionary[int, Context] = weakref.WeakValueDictionary()
    _lock = threading.RLock()  # reentrant, as a collector may run anything

    def __init__(self, ordinal: int) -> None:
        device = _handle(ordinal)
        properties = device_properties(ordinal)
        if properties.compute_capability < OLDEST_CAPABILITY:
            raise DeviceError(
                f"GPU {ordinal} ({properties.name}) is {properties.architecture}; plugrt needs "
                "sm_75 (Turing) or newer: use another GPU or the device 'cpu'"
            )
        self.ordinal = ordinal
        self.handle = call("cuDevicePrimaryCtxRetain", device, what=f"using GPU {ordinal}")
        self._current = _Current(self.handle)
        self.attachments: dict[str, Any] = {}
        """What exists once per GPU, such as a memory pool; given back with the context. It must
        not refer to the context."""
        finalizer = weakref.finalize(self, _release, device, self.attachments)
        finalizer.atexit = False  # the process's end releases everything

    @classmethod
    def of(cls, ordinal: int = 0) -> Context:
        """The context of a GPU. Raises DeviceError when the GPU cannot be used."""
        with cls._lock:
            found = cls._living.get(ordinal)
            if found is None:
                found = cls._living[ordinal] = cls(ordinal)
            return found

    @property
    def properties(self) -> DeviceProperties:
        """What this GPU can do."""
        return device_properties(self.ordinal)

    def current(self) -> AbstractContextManager[None]:
        """Make it the calling thread's context; the previous one comes back afterwards."""
        return self._current


def current_context(handle: Any) -> AbstractContextManager[None]:
    """Like `Context.current`, for whoever must not keep the context alive."""
    return _Current(handle)


class _Current(AbstractContextManager[None]):
    """A context while it is a thread's current one. It has no state, and is used by all threads;
    every inference needs it, so the functions are looked up once."""

    __slots__ = ("_handle", "_pop", "_push")

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._push, self._pop = driver().cuCtxPushCurrent, driver().cuCtxPopCurrent

    def __enter__(self) -> None:
        (error,) = self._push(self._handle)
        if error:
            raise explained(error, "cuCtxPushCurrent")

    def __exit__(self, *exception: object) -> None:
        error, _ = self._pop()
        if error:
            raise explained(error, "cuCtxPopCurrent")


def _release(device: Any, attachments: dict[str, Any]) -> None:
    attachments.clear()
    try:
        call("cuDevicePrimaryCtxRelease", device)
    except CudaError:  # after a fatal error nothing can be released
        return
