"""The processor and the OpenMP threads that all native kernels share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from ._extension import extension_available, kernel_address, lib, require_extension

_FEATURES = (
    "avx2",
    "fma",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512vnni",
    "avx512bf16",
    "amx_bf16",
    "amx_int8",
)


@cache
def features() -> frozenset[str]:
    """What this processor can do that kernels care about; empty without the extension.

    Names: avx2, fma, avx512f, avx512bw, avx512vl, avx512vnni, avx512bf16, amx_bf16, amx_int8.
    """
    if not extension_available():
        return frozenset()
    return frozenset(
        name for name in _FEATURES if lib.plugrt_cpu_supports(name.encode()) == 1
    )


def available_processors() -> int:
    """Processors that this process may use (its affinity counts)."""
    require_extension()
    return int(lib.plugrt_available_processors())


def get_num_threads() -> int:
    """The size of the OpenMP team that the calling thread would start."""
    require_extension()
    return int(lib.plugrt_get_num_threads())


def set_num_threads(count: int) -> None:
    """Set the size of the calling thread's OpenMP teams. Raises ValueError below 1."""
    require_extension()
    if count < 1:
        raise ValueError(f"a team of {count} threads is impossible; give at least 1")
    lib.plugrt_set_num_threads(count)


@contextmanager
def team_of(count: int) -> Iterator[None]:
    """Teams of `count` threads on the calling thread, for what is planned or made inside."""
    former = get_num_threads()
    set_num_threads(count)
    try:
        yield
    finally:
        set_num_threads(former)


def set_flush_denormals(enable: bool = True) -> bool:
    """Treat denormal numbers as zero on the calling thread. Returns the former setting."""
    require_extension()
    return bool(lib.plugrt_flush_denormals(int(enable)))


def prime_threads(count: int) -> None:
    """Flush denormals on the calling thread and on its team of `count` OpenMP workers.

    A second call from the same thread for the same count costs nothing. Runtimes call the C
    function at `prime_threads_address()` before a replay.
    """
    require_extension()
    lib.plugrt_prime_threads(count)


def prime_threads_address() -> int:
    """The address of `void plugrt_prime_threads(int thread_count)`."""
    return kernel_address("plugrt_prime_threads")


def flushing_threads(count: int) -> int:
    """How many threads of the calling thread's team of `count` flush denormals now."""
    require_extension()
    return int(lib.plugrt_count_flushing(count))
