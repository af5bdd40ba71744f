"""Kernels of the library itself, under the twin's own layer: what is compared here is not C code
but how the plug-in around it is treated."""

from __future__ import annotations

from collections.abc import Iterator

from plugrt.builtin_layers.convolution import (
    depthwise_kernel,
    direct_kernel,
    product_kernel,
    shallow_kernel,
    winograd,
)
from plugrt.builtin_layers.convolution.problem import ConvolutionProblem
from plugrt.builtin_layers.sliding_window import SlidingWindow

from .problem import Method, Problem


def first_layers(problem: Problem, tactic: str | None) -> Iterator[Method]:
    """For images as they come."""
    yield from shallow_kernel.candidates(as_the_library_sees(problem), tactic)


def windows(problem: Problem, tactic: str | None) -> Iterator[Method]:
    """For 3x3 windows."""
    yield from winograd.candidates(as_the_library_sees(problem), tactic)


def products(problem: Problem, tactic: str | None) -> Iterator[Method]:
    """For windows of one element."""
    yield from product_kernel.candidates(as_the_library_sees(problem), tactic)


def by_channel(problem: Problem, tactic: str | None) -> Iterator[Method]:
    """Where every channel has a filter of its own."""
    yield from depthwise_kernel.candidates(as_the_library_sees(problem), tactic)


def anything(problem: Problem, tactic: str | None, is_needed: bool) -> Iterator[Method]:
    """Where little else fits."""
    if tactic in (None, direct_kernel.DIRECT):
        yield from direct_kernel.candidates(as_the_library_sees(problem), is_needed)


def as_the_library_sees(problem: Problem) -> ConvolutionProblem:
    """The same problem in the library's words."""
    window = problem.window
    return ConvolutionProblem(
        problem.inputs, problem.source, problem.weights, problem.bias, problem.output,
        SlidingWindow(window.size, window.strides, window.dilations, window.before, window.after),
        problem.groups, problem.epilogue, problem.threads, problem.device, problem.tf32,
    )  # fmt: skip
