"""Kernels of the library itself, under the twin's own layer: what is compared here is not C code
but how the plug-in around it is treated."""

from __future__ import annotations

from collections.abc import Iterator

from plugrt.builtin_layers.convolution import winograd
from plugrt.builtin_layers.convolution.problem import ConvolutionProblem
from plugrt.builtin_layers.sliding_window import SlidingWindow

from .problem import Method, Problem

PREFIX = winograd.PREFIX


def methods(problem: Problem, tactic: str | None = None) -> Iterator[Method]:
    """Those that fit; with a tactic's name the one of this name."""
    window = problem.window
    yield from winograd.candidates(
        ConvolutionProblem(
            problem.inputs, problem.source, problem.weights, problem.bias, problem.output,
            SlidingWindow(
                window.size, window.strides, window.dilations, window.before, window.after
            ),
            problem.groups, problem.epilogue, problem.threads,
        ),
        tactic,
    )  # fmt: skip
