"""Memory of a GPU and pinned memory of the host, given back when the last owner goes."""

from __future__ import annotations

import ctypes
import threading
import weakref
from functools import cached_property
from typing import Any, cast

import numpy as np

from ....plugins import Array, DeviceError
from ....plugins.native.cuda import Context, CudaError
from ....plugins.native.cuda.driver_calls import call
from ....plugins.native.cuda.packages import driver
from .events import DeviceStream

KEEP_EVERYTHING = (1 << 64) - 1

OUT_OF_MEMORY = "CUDA_ERROR_OUT_OF_MEMORY"


class DeviceMemoryError(DeviceError):
    """A GPU has too little memory left. What exists goes on working."""

    def __init__(self, message: str, requested: int, free: int, total: int) -> None:
        super().__init__(message)
        self.requested = requested
        self.free = free
        self.total = total
        """Bytes."""


class DeviceMemory:
    """The stream-ordered pool of one GPU; get it by `DeviceMemory.of(context)`.

    It is plugrt's own, so neither its settings nor its contents meet another library's.
    """

    _lock = threading.RLock()  # reentrant, as a collector may run anything

    def __init__(self, context: Context) -> None:
        self._allocated = 0
        self._counting = threading.RLock()
        self._pool = _new_pool(context.ordinal) if context.properties.memory_pools else None
        if self._pool is not None:
            weakref.finalize(self, _destroy_pool, self._pool).atexit = False
            attribute = driver().CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
            everything = driver().cuuint64_t(KEEP_EVERYTHING)
            call("cuMemPoolSetAttribute", self._pool, attribute, everything)

    @classmethod
    def of(cls, context: Context) -> DeviceMemory:
        """The pool of this GPU."""
        with cls._lock:
            found = context.attachments.get("memory")
            if found is None:
                found = context.attachments["memory"] = cls(context)
            return cast(DeviceMemory, found)

    @classmethod
    def trim_of(cls, context: Context) -> None:
        """Give unused memory of this GPU's pool back, if there is one. For finalisers, too: it
        waits for no lock."""
        found = context.attachments.get("memory")
        if found is not None:
            found.trim(context)

    @property
    def allocated_bytes(self) -> int:
        """Bytes that buffers hold at present."""
        return self._allocated

    def allocate(
        self, context: Context, nbytes: int, stream: DeviceStream, what: str = ""
    ) -> int:
        """The address of fresh memory, usable on `stream` at once, elsewhere behind it.

        Raises DeviceError with `what` it was for, the bytes asked for, free and in all.
        """
        size = max(nbytes, 1)
        if size > context.properties.memory_bytes:
            # Not even asked for: a driver may fill the GPU before it finds out, and other
            # threads and programs would have none for so long.
            raise self._refusal(context, nbytes, what)
        try:
            address = self._allocated_by_driver(context, size, stream)
        except CudaError as error:
            if error.code != OUT_OF_MEMORY:
                raise
            address = self._allocated_after_all(context, size, nbytes, stream, what)
        with self._counting:
            self._allocated += nbytes
        return address

    def _allocated_by_driver(self, context: Context, size: int, stream: DeviceStream) -> int:
        with context.current():
            if self._pool is None:
                return int(call("cuMemAlloc", size))
            return int(call("cuMemAllocFromPoolAsync", size, self._pool, stream.handle))

    def _allocated_after_all(
        self, context: Context, size: int, nbytes: int, stream: DeviceStream, what: str
    ) -> int:
        """The same once what was given back has really gone."""
        stream.synchronize()
        self.trim(context)
        try:
            return self._allocated_by_driver(context, size, stream)
        except CudaError as error:
            if error.code != OUT_OF_MEMORY:
                raise
            raise self._refusal(context, nbytes, what) from None

    def _refusal(self, context: Context, nbytes: int, what: str) -> DeviceMemoryError:
        with context.current():
            free, total = call("cuMemGetInfo")
        purpose = f" for {what}" if what else ""
        return DeviceMemoryError(
            f"cannot allocate {nbytes:,} bytes{purpose} on GPU {context.ordinal}: {free:,} of "
            f"{total:,} are free, and plugrt holds {self._allocated:,}; use a smaller batch, "
            "fewer contexts, or close other programs on this GPU",
            nbytes, free, total,
        )  # fmt: skip

    def release(self, context: Context, address: int, nbytes: int, stream: DeviceStream) -> None:
        """Give memory back once the work on `stream` before this is done."""
        with self._counting:
            self._allocated -= nbytes
        try:
            with context.current():
                if self._pool is None:
                    call("cuMemFree", address)
                else:
                    call("cuMemFreeAsync", address, stream.handle)
        except CudaError:  # after a fatal error nothing can be released
            return

    def trim(self, context: Context) -> None:
        """Give unused memory of the pool back to the GPU."""
        if self._pool is not None:
            with context.current():
                call("cuMemPoolTrimTo", self._pool, 0)


def _new_pool(ordinal: int) -> Any:
    module = driver()
    properties = module.CUmemPoolProps()
    properties.allocType = module.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    properties.location.type = module.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    properties.location.id = ordinal
    return call("cuMemPoolCreate", properties, what=f"making a memory pool on GPU {ordinal}")


def _destroy_pool(pool: Any) -> None:
    try:
        call("cuMemPoolDestroy", pool)
    except CudaError:  # after a fatal error nothing can be released
        return


class DeviceBuffer:
    """Bytes on a GPU. Whoever drops the last reference has waited for what uses them."""

    def __init__(self, context: Context, nbytes: int, what: str = "") -> None:
        """`what` it is for, in an error's words. Raises DeviceMemoryError."""
        self.context = context
        self.nbytes = nbytes
        pool = DeviceMemory.of(context)
        on = DeviceStream.service(context)
        self.address = pool.allocate(context, nbytes, on, what)
        self._finalizer = weakref.finalize(
            self, pool.release, context, self.address, nbytes, on
        )
        self._finalizer.atexit = False
        on.synchronize()

    @classmethod
    def of(cls, context: Context, array: Array, what: str = "") -> DeviceBuffer:
        """A copy of an array's bytes, ready for every stream."""
        contiguous = np.ascontiguousarray(array)
        buffer = cls(context, contiguous.nbytes, what)
        buffer.write(contiguous)
        return buffer

    def write(self, array: Array) -> None:
        """Copy a C-contiguous array to the front; done on return."""
        if array.nbytes > self.nbytes or not array.flags.c_contiguous:
            raise DeviceError(
                f"cannot write {array.nbytes:,} bytes into {self.nbytes:,}; give a C-contiguous "
                "array that fits"
            )
        if array.nbytes:
            stream = DeviceStream.service(self.context)
            with self.context.current():
                call("cuMemcpyHtoDAsync", self.address, array.ctypes.data, array.nbytes,
                     stream.handle)  # fmt: skip
            stream.synchronize()

    def read(self, nbytes: int | None = None) -> Array:
        """The first bytes (all by default) as a uint8 array. Waits for this copy alone."""
        result = np.empty(self.nbytes if nbytes is None else nbytes, np.uint8)
        if result.nbytes:
            stream = DeviceStream.service(self.context)
            with self.context.current():
                call("cuMemcpyDtoHAsync", result.ctypes.data, self.address, result.nbytes,
                     stream.handle)  # fmt: skip
            stream.synchronize()
        return result

    def fill(self, byte: int) -> None:
        """Set every byte; done on return."""
        if self.nbytes:
            stream = DeviceStream.service(self.context)
            with self.context.current():
                call("cuMemsetD8Async", self.address, byte, self.nbytes, stream.handle)
            stream.synchronize()

    @cached_property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": (self.nbytes,), "typestr": "|u1", "data": (self.address, False),
            "version": 3, "strides": None, "stream": None,
        }  # fmt: skip


def read_int64(address: int, stream: DeviceStream) -> int:
    """The int64 at an address of a GPU, once the work on `stream` so far is done."""
    value = np.empty(1, np.int64)
    call("cuMemcpyDtoHAsync", value.ctypes.data, address, 8, stream.cuda)
    stream.synchronize()
    return int(value[0])


def pinned_array(context: Context, nbytes: int) -> Array:
    """A uint8 array in host memory that the GPU copies to and from directly, and asynchronously.

    Raises DeviceError with the bytes when the host cannot pin so much.
    """
    size = max(nbytes, 1)
    try:
        with context.current():
            address = int(call("cuMemHostAlloc", size, driver().CU_MEMHOSTALLOC_PORTABLE))
    except CudaError as error:
        if error.code != OUT_OF_MEMORY:
            raise
        raise DeviceError(
            f"cannot pin {nbytes:,} bytes of host memory; use a smaller batch, or let the process "
            "lock more memory (ulimit -l, or the container's limit)"
        ) from None
    # A class of its own: unlike plain ctypes arrays, its instances can be referred to weakly.
    block: Any = type("PinnedBlock", (ctypes.Array,), {"_type_": ctypes.c_uint8, "_length_": size})
    memory = block.from_address(address)
    weakref.finalize(memory, _unpin, context, address).atexit = False
    return np.frombuffer(memory, np.uint8, nbytes)


def _unpin(context: Context, address: int) -> None:
    try:
        with context.current():
            call("cuMemFreeHost", address)
    except CudaError:  # after a fatal error nothing can be released
        return
