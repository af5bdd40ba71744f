"""Copies in chunks by a team, with functions of ours in the place of the driver's."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from plugrt.core.devices.cuda import host_copies
from plugrt.plugins import Array

SEND = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p
)
AWAIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
STREAM = 77


@pytest.fixture(autouse=True)
def fresh_functions() -> Iterator[None]:
    host_copies._function.cache_clear()
    yield
    host_copies._function.cache_clear()


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count: int = request.param
    monkeypatch.setattr(host_copies, "MOST_THREADS", count)
    monkeypatch.setattr(host_copies, "BYTES_PER_THREAD", 64)
    monkeypatch.setattr(host_copies.os, "sched_getaffinity", lambda pid: set(range(count)))
    return count


def numbers(nbytes: int) -> Array:
    return np.random.default_rng(nbytes).integers(0, 256, nbytes).astype(np.uint8)


@pytest.mark.parametrize(
    ("nbytes", "chunk", "threads"),
    [(1, 128 << 10, 1), (600_000, 128 << 10, 2), (4 << 20, 512 << 10, 6), (1 << 30, 1 << 20, 6)],
)
def test_large_arrays_get_more_threads_and_larger_chunks(
    nbytes: int, chunk: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_copies.os, "sched_getaffinity", lambda pid: set(range(64)))
    assert (host_copies.chunk_for(nbytes), host_copies.threads_for(nbytes)) == (chunk, threads)
    monkeypatch.setattr(host_copies.os, "sched_getaffinity", lambda pid: {3})
    assert host_copies.threads_for(nbytes) == 1


@pytest.mark.parametrize("nbytes", [1, 4096, 4097, 1_000_003])
@pytest.mark.parametrize("chunk", [64, 4096, 1 << 20])
def test_chunks_are_sent_once_and_in_order(
    nbytes: int, chunk: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, staged, target = numbers(nbytes), np.zeros(nbytes, np.uint8), np.zeros(nbytes, np.uint8)
    base = target.ctypes.data
    senders: set[int] = set()
    sent = [0]

    def send(to: int, start: int, count: int, stream: int) -> int:
        assert (to - base, start - staged.ctypes.data, stream) == (sent[0], sent[0], STREAM)
        senders.add(threading.get_ident())
        sent[0] += count
        ctypes.memmove(to, start, count)
        return 0

    function = SEND(send)
    address = ctypes.cast(function, ctypes.c_void_p).value
    monkeypatch.setattr(host_copies, "function_address", lambda name: address)
    monkeypatch.setattr(host_copies, "chunk_for", lambda nbytes: chunk)
    assert host_copies.send_chunks(source, staged, base, STREAM) == 0
    assert sent == [nbytes]
    assert senders == {threading.get_ident()}  # where the GPU's context is current
    np.testing.assert_array_equal(target, source)


def test_nothing_is_sent_behind_a_failure(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def send(to: int, start: int, count: int, stream: int) -> int:
        calls.append(to)
        return 700 if len(calls) == 3 else 0

    function = SEND(send)
    address = ctypes.cast(function, ctypes.c_void_p).value
    monkeypatch.setattr(host_copies, "function_address", lambda name: address)
    monkeypatch.setattr(host_copies, "chunk_for", lambda nbytes: 1000)
    assert host_copies.send_chunks(numbers(10_000), np.zeros(10_000, np.uint8), 0, STREAM) == 700
    assert calls == [0, 1000, 2000]


@pytest.mark.parametrize("nbytes", [1, 5000, 1_000_003])
def test_chunks_are_received_once_they_are_there(
    nbytes: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, staged, target = numbers(nbytes), np.zeros(nbytes, np.uint8), np.zeros(nbytes, np.uint8)
    chunk = 4096
    events = range(100, 100 + -(-nbytes // chunk))

    def wait(event: int) -> int:
        start = (event - 100) * chunk
        staged[start : start + chunk] = source[start : start + chunk]  # it arrives now
        return 0

    function = AWAIT(wait)
    address = ctypes.cast(function, ctypes.c_void_p).value
    monkeypatch.setattr(host_copies, "function_address", lambda name: address)
    assert host_copies.receive_chunks(target, staged, chunk, list(events)) == 0
    np.testing.assert_array_equal(target, source)
    failing = AWAIT(lambda event: 719 if event == 100 else 0)
    address = ctypes.cast(failing, ctypes.c_void_p).value
    host_copies._function.cache_clear()
    assert host_copies.receive_chunks(target, staged, chunk, list(events)) == 719
