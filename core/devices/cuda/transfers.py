"""Copies of host arrays beside the computation: a context's copy streams."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ....plugins import Array
from ....plugins.native.cuda import Context
from .callers_arrays import Feed, is_on_host
from .endpoints import Endpoint
from .events import DeviceStream
from .turns import Turn


class HostTransfers:
    """Brings arrays to the fixed places of a turn, and results back. The context is current."""

    def __init__(self, context: Context, stream: DeviceStream) -> None:
        self._context = context
        self._stream = stream

    @cached_property
    def _up(self) -> DeviceStream:
        return DeviceStream(self._context)

    @cached_property
    def _down(self) -> DeviceStream:
        return DeviceStream(self._context)

    def bring(
        self, turn: Turn, endpoints: Sequence[Endpoint], feeds: Sequence[Feed], alone: bool,
        in_place: bool,
    ) -> bool:  # fmt: skip
        """Copy what is not used in place; later work on the stream waits for it. `alone`: the
        stream has nothing to do that the copies could run beside. True when a caller's array is
        read where it lies, `turn.arrived` tells until when."""
        stream = self._stream if alone else self._up
        has_moved = is_read = False
        for endpoint, feed in zip(endpoints, feeds, strict=True):
            if isinstance(feed, np.ndarray):
                if endpoint.is_large:
                    is_read |= endpoint.upload(feed, stream)
                    has_moved = True
                else:
                    np.copyto(endpoint.host, feed)
            elif not in_place:
                endpoint.copy(self._stream, endpoint.device.address, feed.address)
        if has_moved and (is_read or not alone):
            turn.arrived.record(stream)
            if not alone:
                self._stream.wait_for(turn.arrived)
        return is_read

    def fetch(
        self, turn: Turn, endpoints: Sequence[Endpoint], targets: Sequence[Any], in_place: bool
    ) -> list[Endpoint]:
        """Put copies of results that are not written in place behind them, and the turn's last
        mark behind all. Returns those that arrive in chunks."""
        chunked = []
        last = self._stream
        for endpoint, target in zip(endpoints, targets, strict=True):
            if is_on_host(target):
                if endpoint.is_large:
                    if last is self._stream:
                        turn.computed.record(last)
                        last = self._down
                        last.wait_for(turn.computed)
                    if endpoint.begin_download(target, last):
                        chunked.append(endpoint)
            elif not in_place:
                endpoint.copy(self._stream, target.address, endpoint.device.address)
        if last is not self._stream and not in_place:
            turn.computed.record(self._stream)
            last.wait_for(turn.computed)
        turn.done.record(last)
        return chunked

    def synchronize(self) -> None:
        """Wait for all copies and for the stream. Raises DeviceError when something failed."""
        for name in ("_up", "_down"):
            made = self.__dict__.get(name)
            if made is not None:
                made.synchronize()
        self._stream.synchronize()


def result_of(endpoint: Endpoint, target: Array | None, is_chunked: bool) -> Array:
    """A result as an array of the host, once the turn's last mark is reached; one that arrives in
    chunks is waited for here."""
    if target is None:
        if not endpoint.is_large:
            return endpoint.host.copy()
        target = np.empty(endpoint.desc.sizes, endpoint.desc.dtype.numpy)
    if is_chunked:
        endpoint.finish_download(target)
    elif not endpoint.is_large:
        np.copyto(target, endpoint.host)
    return target
