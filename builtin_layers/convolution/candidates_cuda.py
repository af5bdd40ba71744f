"""The ways to compute a convolution on a GPU: cuDNN, cuBLASLt and our own CUDA kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...plugins import TensorDesc
from . import (
    cublaslt_candidate,
    cudnn_candidate,
    cudnn_quantised,
    depthwise_cuda,
    direct_cuda,
    implicit_gemm_cuda,
    shallow_cuda,
    tiles_cuda,
)
from .problem import Candidate, ConvolutionProblem


def candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[Candidate]:
    """The way with the tactic's name; without one every way that might be the fastest, a good
    guess first: what a GPU does in a few microseconds our own kernels do sooner, since they begin
    while what is ahead of them ends."""
    if tactic is None and tiles_cuda.is_brief(problem):
        yield from own_candidates(problem)
        yield from _library_candidates(problem)
        return
    count = 0
    for candidate in _library_candidates(problem, tactic):
        count += 1
        yield candidate
    yield from own_candidates(problem, tactic, alone=not count)


def _library_candidates(
    problem: ConvolutionProblem, tactic: str | None = None
) -> Iterator[Candidate]:
    for source in (
        cudnn_candidate.candidates, cudnn_quantised.candidates, cublaslt_candidate.candidates
    ):  # fmt: skip
        yield from source(problem, tactic)


def takes(source: TensorDesc, weights: TensorDesc, output: TensorDesc, groups: int) -> bool:
    """Types and formats that kernels of ours take beyond those of every device."""
    return any(
        kernel.takes(source, weights, output, groups)
        for kernel in (shallow_cuda, implicit_gemm_cuda)
    )


def compilations(problem: ConvolutionProblem, tactics: Sequence[str]) -> list[object]:
    """What tactics of these names need compiled: plans of cuDNN and kernels of ours."""
    return [
        *cudnn_candidate.compilations(problem, tactics),
        *cudnn_quantised.compilations(problem, tactics),
        *tiles_cuda.compilations(problem, tactics),
        *implicit_gemm_cuda.compilations(problem, tactics),
    ]


def own_candidates(
    problem: ConvolutionProblem, tactic: str | None = None, *, alone: bool = False
) -> Iterator[Candidate]:
    """Our own way with the tactic's name; without one all that might be the fastest, a good guess
    first. `alone` tells that no library computes the problem: then the loops that take every
    case stand in where nothing else of ours does."""
    count = 0
    for source in (
        shallow_cuda.candidates, depthwise_cuda.candidates, tiles_cuda.candidates,
        implicit_gemm_cuda.candidates,
    ):  # fmt: skip
        for candidate in source(problem, tactic):
            count += 1
            yield candidate
    if tactic == direct_cuda.DIRECT or (tactic is None and alone and not count):
        yield from direct_cuda.candidates(problem, tactic)
