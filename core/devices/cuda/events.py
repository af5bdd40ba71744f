"""Streams and events of the driver, destroyed with their last owner."""

from __future__ import annotations

import threading
import weakref
from functools import cached_property
from typing import Any, cast

from ....plugins.native.cuda import Context, CudaError
from ....plugins.native.cuda.devices import current_context
from ....plugins.native.cuda.driver_calls import call, explained
from ....plugins.native.cuda.packages import driver

NOT_READY = 600
"""CUDA_ERROR_NOT_READY."""


class DeviceStream:
    """A CUstream that does not wait for the legacy default stream."""

    _lock = threading.RLock()  # reentrant, as a collector may run anything

    def __init__(self, context: Context, keep_context: bool = True) -> None:
        with context.current():
            self.cuda = call("cuStreamCreate", int(driver().CUstream_flags.CU_STREAM_NON_BLOCKING))
        self.handle = int(self.cuda)
        self.ordinal = context.ordinal
        owner = context if keep_context else context.handle
        destroy_with(self, "cuStreamDestroy", owner, self.cuda)
        self._wait = driver().cuStreamWaitEvent

    @classmethod
    def service(cls, context: Context) -> DeviceStream:
        """The stream of a GPU for allocations and for copies that the caller waits for."""
        with cls._lock:
            found = context.attachments.get("service stream")
            if found is None:
                found = context.attachments["service stream"] = cls(context, keep_context=False)
            return cast(DeviceStream, found)

    def synchronize(self) -> None:
        """Wait for all work. Raises DeviceError when some of it failed."""
        call("cuStreamSynchronize", self.cuda, what="running on the GPU")

    @property
    def is_usable(self) -> bool:
        """False after a failure that the GPU's context does not recover from."""
        (error,) = driver().cuStreamQuery(self.cuda)
        return int(error) in (0, NOT_READY)

    def wait_for(self, event: Event) -> None:
        """Let later work wait for an event, without the host."""
        (error,) = self._wait(self.cuda, event.cuda, 0)
        if error:
            raise explained(error, "cuStreamWaitEvent")

    def follow(self, other: int) -> None:
        """Let later work wait for what is on another stream of this GPU at present, which some
        library has told the number of."""
        with self._mark.context.current():
            call("cuEventRecord", self._mark.cuda, driver().CUstream(other))
            self.wait_for(self._mark)

    @cached_property
    def _mark(self) -> Event:
        return Event(Context.of(self.ordinal))


class Event:
    """A mark in a stream; with `timing` it can be compared with others."""

    def __init__(self, context: Context, timing: bool = False) -> None:
        self.context = context
        flags = driver().CUevent_flags
        chosen = flags.CU_EVENT_DEFAULT if timing else flags.CU_EVENT_DISABLE_TIMING
        with context.current():
            self.cuda = call("cuEventCreate", int(chosen))
        destroy_with(self, "cuEventDestroy", context, self.cuda)
        # Every call of a context passes here, so the functions are looked up once.
        self._record, self._synchronize = driver().cuEventRecord, driver().cuEventSynchronize

    def record(self, stream: DeviceStream) -> None:
        """Mark the stream's present end."""
        (error,) = self._record(self.cuda, stream.cuda)
        if error:
            raise explained(error, "cuEventRecord")

    def record_in_graph(self, stream: DeviceStream) -> None:
        """While the stream is captured: mark this place at every launch of the graph."""
        flag = driver().CUevent_record_flags.CU_EVENT_RECORD_EXTERNAL
        call("cuEventRecordWithFlags", self.cuda, stream.cuda, int(flag))

    def synchronize(self) -> None:
        """Wait until the mark is reached. Raises DeviceError when work before it failed."""
        (error,) = self._synchronize(self.cuda)
        if error:
            raise explained(error, "cuEventSynchronize", "running on the GPU")

    def is_reached(self) -> bool:
        """Whether `synchronize` would return, or raise, at once."""
        (error,) = driver().cuEventQuery(self.cuda)
        return int(error) != NOT_READY

    def seconds_since(self, earlier: Event) -> float:
        """Time between two marks that were both reached."""
        name = "cuEventElapsedTime_v2" if hasattr(driver(), "cuEventElapsedTime_v2") else (
            "cuEventElapsedTime")  # fmt: skip
        return float(call(name, earlier.cuda, self.cuda)) / 1e3


def destroy_with(owner: Any, function: str, context: Any, handle: Any) -> None:
    """Call a function of the driver on `handle` when `owner` is gone.

    `context` is a Context, which lives until then whatever order a collector takes, or the
    handle of one for what is attached to it.
    """
    weakref.finalize(owner, _destroy, function, context, handle).atexit = False


def _destroy(function: str, context: Any, handle: Any) -> None:
    try:
        with current_context(getattr(context, "handle", context)):
            call(function, handle)
    except CudaError:  # after a fatal error nothing can be released
        return
