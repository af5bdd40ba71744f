"""Convolutions on a GPU: plans of cuDNN and cuBLASLt and kernels of the library itself, under the
twin's own layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from plugrt.builtin_layers.convolution import candidates_cuda
from plugrt.builtin_layers.convolution.direct_cuda import DIRECT
from plugrt.builtin_layers.quantised_arguments import is_float8
from plugrt.plugins import Format, TensorDesc

from .by_library import as_the_library_sees
from .problem import Method, Problem


def methods(problem: Problem, tactic: str | None = None) -> Iterator[Method]:
    """The way with the tactic's name; without one every way that might be the fastest."""
    yield from candidates_cuda.candidates(as_the_library_sees(problem), tactic)


def whatever_fits(problem: Problem) -> Iterator[Method]:
    """What computes every problem."""
    yield from methods(problem, DIRECT)


def compilations(problem: Problem, tactics: Sequence[str]) -> Sequence[object]:
    """What can be built ahead of timing."""
    return candidates_cuda.compilations(as_the_library_sees(problem), tactics)


def takes(source: TensorDesc, weights: TensorDesc, output: TensorDesc, groups: int) -> bool:
    """Types and formats beyond those of every device: images, and 8-bit floats."""
    if is_float8(source, weights, output):
        return source.format is output.format is Format.CHANNELS_LAST
    return candidates_cuda.takes(source, weights, output, groups)
