"""Many plans built at once, by processes: within one, cuDNN builds them one after the other.

They reach the caller through the disk cache of kernels. Run as a module, this is a worker.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from ....errors import DeviceError
from .. import kernel_cache
from .convolution import ConvolutionGraph

Request = tuple[ConvolutionGraph, str]

FEWEST_PER_PROCESS = 8
"""A process takes as long to start as this many plans to build."""

MOST_PROCESSES = 16


def build_ahead(
    requests: Sequence[Request], ordinal: int = 0, processes: int | None = None
) -> None:
    """Put plans into the disk cache, so that `ConvolutionGraph.build` finds them.

    What cannot be built is left out; `build` then says why. Without a disk cache, or for few
    plans, nothing is done. `processes` is chosen by the number of processors by default.
    """
    missing = [
        (graph, name)
        for graph, name in dict.fromkeys(requests)
        if kernel_cache.read(graph.cache_key(name, ordinal)) is None
    ]
    most = processes or min(len(os.sched_getaffinity(0)), MOST_PROCESSES)
    count = min(most, len(missing) // FEWEST_PER_PROCESS)
    if count < 2 or kernel_cache.folder() is None:
        return
    # Not multiprocessing: its workers import the caller's main module, which may run anything.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    workers = []
    for number in range(count):
        worker = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        workers.append((worker, pickle.dumps((missing[number::count], ordinal))))
    for worker, work in workers:
        if worker.stdin is not None:
            with suppress(BrokenPipeError):  # it could not start; `build` will do its work
                worker.stdin.write(work)
                worker.stdin.close()
    for worker, _ in workers:
        worker.wait()


def _work() -> None:
    requests, ordinal = pickle.load(sys.stdin.buffer)
    for graph, name in requests:
        with suppress(DeviceError):
            graph.build(name, ordinal)


if __name__ == "__main__":
    _work()
