"""Compiling what layers ask for with `getCompilations`, as much at once as the processors take."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from ....plugins import DeviceError
from ....plugins.native.cuda import CudaKernel, cudnn


def compile_all(wanted: Iterable[Any], ordinal: int) -> None:
    """Compile CUDA kernels by threads, since NVRTC lets them run beside each other, and plans of
    cuDNN by processes; both begin while `wanted` is still being found. What fails does so again,
    and is told, where it is recorded."""
    known: set[Hashable] = set()

    def compiled(kernel: CudaKernel) -> None:
        with suppress(DeviceError):
            kernel.stored(ordinal)

    def plans() -> Iterator[Any]:
        for item in wanted:
            if not isinstance(item, CudaKernel):
                yield item
            elif item.identity not in known:
                known.add(item.identity)
                pool.submit(copy_context().run, compiled, item)  # with what the engine lends

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        cudnn.build_ahead(plans(), ordinal)
