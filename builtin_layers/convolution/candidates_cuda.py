"""Our own CUDA kernels for a convolution, beside those of libraries."""

from __future__ import annotations

from collections.abc import Iterator

from . import depthwise_cuda, direct_cuda, shallow_cuda
from .problem import Candidate, ConvolutionProblem


def candidates(
    problem: ConvolutionProblem, tactic: str | None = None, *, alone: bool = False
) -> Iterator[Candidate]:
    """The way with the tactic's name; without one every way that might be the fastest, a good
    guess first. `alone` tells that no library computes the problem: then the loops that take
    every case are among them, as they are where nothing better fits."""
    count = 0
    for source in (shallow_cuda.candidates, depthwise_cuda.candidates):
        for candidate in source(problem, tactic):
            count += 1
            yield candidate
    if tactic == direct_cuda.DIRECT or (tactic is None and (alone or not count)):
        yield from direct_cuda.candidates(problem, tactic)
