"""Arrays between host and GPU, copied on streams of their own while others compute."""

from __future__ import annotations

import numpy as np

from ....plugins import Array, DeviceError
from ....plugins.native.cuda import Context
from ....plugins.native.cuda.driver_calls import call
from .events import DeviceStream, Event
from .memory import DeviceBuffer, pinned_array

DEPTH = 2
"""Buffers in turn: one is filled while the other is read."""


class InputRing:
    """Host arrays of up to `nbytes` to the GPU. One producer; `copies` is the copy stream.

    `put` waits for nothing but the GPU's copy from the same pinned buffer, `depth` calls ago.
    Its addresses come in turn, so a recording is captured `depth` times.
    """

    def __init__(
        self, context: Context, nbytes: int, copies: DeviceStream | None = None,
        depth: int = DEPTH,
    ) -> None:  # fmt: skip
        self.nbytes = nbytes
        self.copies = copies or DeviceStream(context)
        self._context = context
        self._turns = [_Turn(context, nbytes) for _ in range(depth)]
        self._next = 0

    def put(self, array: Array, reader: DeviceStream) -> int:
        """Start to copy a C-contiguous array; returns its address on the GPU, for later work on
        `reader`, which waits for the copy. Call `release` when that work is on the stream."""
        if array.nbytes > self.nbytes or not array.flags.c_contiguous:
            raise DeviceError(
                f"cannot stage {array.nbytes:,} bytes in {self.nbytes:,}; give a C-contiguous "
                "array that fits"
            )
        turn = self._turns[self._next]
        turn.copied.synchronize()  # the pinned bytes are free again
        turn.pinned[: array.nbytes] = array.reshape(-1).view(np.uint8)
        with self._context.current():
            self.copies.wait_for(turn.used)  # and so are those on the GPU
            if array.nbytes:
                call("cuMemcpyHtoDAsync", turn.device.address, turn.pinned.ctypes.data,
                     array.nbytes, self.copies.cuda)  # fmt: skip
            turn.copied.record(self.copies)
            reader.wait_for(turn.copied)
        return turn.device.address

    def release(self, reader: DeviceStream) -> None:
        """Say that all work that reads the last array is on `reader`."""
        with self._context.current():
            self._turns[self._next].used.record(reader)
        self._next = (self._next + 1) % len(self._turns)

    def close(self) -> None:
        """Wait for all copies and readers."""
        for turn in self._turns:
            turn.copied.synchronize()
            turn.used.synchronize()


class OutputRing:
    """What the GPU wrote, to the host. One consumer; the copies overlap later work."""

    def __init__(
        self, context: Context, nbytes: int, copies: DeviceStream | None = None,
        depth: int = DEPTH,
    ) -> None:  # fmt: skip
        self.nbytes = nbytes
        self.copies = copies or DeviceStream(context)
        self._context = context
        self._turns = [_Turn(context, nbytes) for _ in range(depth)]
        self._next = 0

    def target(self, writer: DeviceStream) -> int:
        """The address for later work on `writer` to write to."""
        turn = self._turns[self._next]
        with self._context.current():
            writer.wait_for(turn.copied)  # the copy of what was written there before
        return turn.device.address

    def fetch(self, writer: DeviceStream, nbytes: int) -> PendingOutput:
        """Start to copy what the work on `writer` so far writes to the last `target`."""
        turn = self._turns[self._next]
        self._next = (self._next + 1) % len(self._turns)
        with self._context.current():
            turn.used.record(writer)
            self.copies.wait_for(turn.used)
            if nbytes:
                call("cuMemcpyDtoHAsync", turn.pinned.ctypes.data, turn.device.address, nbytes,
                     self.copies.cuda)  # fmt: skip
            turn.copied.record(self.copies)
        return PendingOutput(turn.pinned[:nbytes], turn.copied)

    def close(self) -> None:
        """Wait for all copies."""
        for turn in self._turns:
            turn.copied.synchronize()


class PendingOutput:
    """Bytes on their way to the host; valid until `depth` more were fetched."""

    def __init__(self, pinned: Array, copied: Event) -> None:
        self._pinned = pinned
        self._copied = copied

    def result(self) -> Array:
        """The bytes, in pinned memory that is used again: copy what you keep. Waits for them.
        Raises DeviceError when a kernel before failed."""
        self._copied.synchronize()
        return self._pinned


class _Turn:
    """One buffer on each side, and the events between them."""

    def __init__(self, context: Context, nbytes: int) -> None:
        self.pinned = pinned_array(context, nbytes)
        self.device = DeviceBuffer(context, max(nbytes, 1))
        self.copied = Event(context)
        self.used = Event(context)
