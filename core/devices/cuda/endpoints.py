"""Where a context's inputs and outputs lie: on the GPU, and on the host in pinned memory."""

from __future__ import annotations

import weakref
from contextlib import suppress
from functools import cached_property

import numpy as np

from ....plugins import Array, DeviceError, TensorDesc
from ....plugins.native.cuda import Context
from ....plugins.native.cuda.driver_calls import call
from ....plugins.native.cuda.packages import driver
from .events import DeviceStream, Event
from .interchange import DeviceArray
from .memory import DeviceBuffer, pinned_array
from .pinned import is_pinned
from .staging import Download, upload

MOST_SPARE = 4
"""Result buffers that wait for the next call; further ones are given back."""

LARGE = 256 << 10
"""Bytes from which a copy from or to the host is no node of the graph: it begins before the
graph does, in chunks, and an array that its owner has pinned is not copied twice."""


class ResultMemory:
    """Where a result lies that its caller keeps. Its memory is given back behind what writes and
    reads it, on whatever stream."""

    def __init__(self, context: Context, nbytes: int) -> None:
        self.buffer = DeviceBuffer(context, nbytes, "a result")
        self.ready = Event(context)
        """Says that it is written."""
        self.readers: list[Event] = []
        """Behind what its former holders have asked for."""
        # Found now: a finaliser must not wait for the lock that finding it takes.
        service = DeviceStream.service(context)
        weakref.finalize(
            self, _await_users, service, context, self.buffer, self.ready, self.readers
        ).atexit = False

    @property
    def address(self) -> int:
        """Of the first element."""
        return self.buffer.address


class Endpoint:
    """One input or output for one set of shapes. Its fixed buffers are made when first used, and
    stay where they are, since graphs contain their addresses."""

    def __init__(self, context: Context, desc: TensorDesc, is_streamed: bool = False) -> None:
        self.desc = desc
        self.nbytes = desc.nbytes
        self.is_large = self.nbytes >= LARGE
        self.is_streamed = is_streamed and not self.is_large
        """Whether kernels write it straight into the host's memory, where it is wanted there."""
        self._context = context
        self._spare: list[ResultMemory] = []

    @cached_property
    def device(self) -> DeviceBuffer:
        """Its fixed place on the GPU."""
        return DeviceBuffer(self._context, max(self.nbytes, 1), "an input or output")

    @cached_property
    def pinned(self) -> Array:
        """Its bytes on the host."""
        return pinned_array(self._context, self.nbytes)

    @cached_property
    def host(self) -> Array:
        """The array in its bytes on the host."""
        return self.pinned.view(self.desc.dtype.numpy).reshape(self.desc.sizes)

    def address_for(self, on_host: bool) -> int:
        """Of the fixed place that kernels use, for an array that is wanted on the host or not."""
        if on_host and self.is_streamed:
            return int(self.pinned.ctypes.data)
        return self.device.address

    # ---- as a node of a graph -------------------------------------------------------------

    def fetch(self, stream: DeviceStream, address: int) -> None:
        """Put the copy from the host on a stream."""
        if self.nbytes:
            call("cuMemcpyHtoDAsync", address, self.pinned.ctypes.data, self.nbytes, stream.cuda)

    def send(self, stream: DeviceStream, address: int) -> None:
        """Put the copy to the host on a stream."""
        if self.nbytes:
            call("cuMemcpyDtoHAsync", self.pinned.ctypes.data, address, self.nbytes, stream.cuda)

    def copy(self, stream: DeviceStream, target: int, source: int) -> None:
        """Put a copy within the GPU on a stream."""
        if self.nbytes:
            call("cuMemcpyDtoDAsync", target, source, self.nbytes, stream.cuda)

    # ---- large arrays of the host ---------------------------------------------------------

    def upload(self, array: Array, stream: DeviceStream) -> bool:
        """Put the transfer of an array on a stream. True when it is read where it lies, so that
        it must not change before the stream has come so far."""
        if array.flags.c_contiguous and is_pinned(array):
            call("cuMemcpyHtoDAsync", self.device.address, array.ctypes.data, self.nbytes,
                 stream.cuda)  # fmt: skip
            return True
        contiguous = np.ascontiguousarray(array)
        upload(contiguous, self.pinned, self.device.address, stream)
        return False

    def begin_download(self, target: Array | None, stream: DeviceStream) -> bool:
        """Put the transfer to the host on a stream. False when it goes straight into `target`,
        and `finish_download` is not needed."""
        if target is not None and is_pinned(target):
            call("cuMemcpyDtoHAsync", target.ctypes.data, self.device.address, self.nbytes,
                 stream.cuda)  # fmt: skip
            return False
        self._download.begin(self.device.address, stream)
        return True

    def finish_download(self, target: Array) -> None:
        """Wait, and copy what has arrived into a C-contiguous array."""
        self._download.finish(target)

    @cached_property
    def _download(self) -> Download:
        return Download(self._context, self.pinned)

    # ---- results that callers keep --------------------------------------------------------

    def fresh(self, stream: DeviceStream) -> ResultMemory:
        """Memory for a result that its caller keeps; work on `stream` may write to it once
        earlier readers are done."""
        if not self._spare:
            return ResultMemory(self._context, max(self.nbytes, 1))
        memory = self._spare.pop()
        for mark in memory.readers:
            stream.wait_for(mark)
        return memory

    def result(self, memory: ResultMemory, stream: DeviceStream, owner: object) -> DeviceArray:
        """The array of what the work on `stream` writes; its memory comes back when nobody holds
        it any more."""
        memory.ready.record(stream)
        memory.readers.clear()  # the stream has waited for them
        array = DeviceArray(
            memory.address, self.desc.sizes, self.desc.dtype.numpy, self._context.ordinal,
            (memory, owner), memory.ready,
        )  # fmt: skip
        back = weakref.finalize(
            array, _put_back, self._spare, memory, array.consumers, self._context
        )
        back.atexit = False
        return array


def _put_back(
    spare: list[ResultMemory], memory: ResultMemory, readers: set[int], context: Context
) -> None:
    for reader in readers:
        with suppress(DeviceError), context.current():  # of a stream that is gone
            mark = Event(context)
            call("cuEventRecord", mark.cuda, driver().CUstream(reader))
            memory.readers.append(mark)
    if len(spare) < MOST_SPARE:
        spare.append(memory)


def _await_users(
    service: DeviceStream, context: Context, buffer: DeviceBuffer, ready: Event,
    readers: list[Event],
) -> None:  # fmt: skip
    """Let the stream that `buffer` is given back on, when this returns, wait for its users."""
    for mark in (ready, *readers):
        with suppress(DeviceError), context.current():  # after a fatal error nothing can be done
            service.wait_for(mark)
