"""Copies between host arrays and the GPU through pinned memory, chunk by chunk.

While one chunk is on its way, threads copy the next ones; so a copy takes about as long as the
slower of both, and not their sum.
"""

from __future__ import annotations

import numpy as np

from ....plugins import Array
from ....plugins.native.cuda import Context
from ....plugins.native.cuda.driver_calls import call, explained
from . import host_copies
from .events import DeviceStream, Event


def upload(source: Array, pinned: Array, address: int, stream: DeviceStream) -> None:
    """Copy a C-contiguous array into `pinned`, and put its transfer to `address` on a stream;
    `source` may change on return, `pinned` when the stream has come so far. The context is
    current."""
    status = host_copies.send_chunks(as_bytes(source), pinned, address, stream.handle)
    if status:
        raise explained(status, "cuMemcpyHtoDAsync", "copying an array to the GPU")


class Download:
    """A transfer from the GPU into pinned memory, with a mark behind each chunk."""

    def __init__(self, context: Context, pinned: Array) -> None:
        self._pinned = pinned
        self._chunk = host_copies.chunk_for(pinned.nbytes)
        self._marks = [Event(context) for _ in range(0, pinned.nbytes, self._chunk)]
        self._handles = [int(mark.cuda) for mark in self._marks]

    def begin(self, address: int, stream: DeviceStream) -> None:
        """Put the transfer on a stream; the context is current."""
        staged, nbytes = self._pinned.ctypes.data, self._pinned.nbytes
        for number, mark in enumerate(self._marks):
            start = number * self._chunk
            count = min(self._chunk, nbytes - start)
            call("cuMemcpyDtoHAsync", staged + start, address + start, count, stream.cuda)
            mark.record(stream)

    def finish(self, target: Array) -> None:
        """Copy each chunk into a C-contiguous array as it arrives. Raises DeviceError when the
        work before it failed."""
        status = host_copies.receive_chunks(
            as_bytes(target), self._pinned, self._chunk, self._handles
        )
        if status:
            raise explained(status, "cuEventSynchronize", "running on the GPU")


def as_bytes(array: Array) -> Array:
    """The bytes of a C-contiguous array, as a view."""
    return array.reshape(-1).view(np.uint8)
