"""Convolution by direct.c: first layers, slices, and machines without oneDNN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from plugrt.plugins import Array, Format, Stream, Tactic, TensorDesc, TensorView

from .. import kernels
from ..windows import three
from .activation import Activation, activation_of
from .problem import Problem

TACTIC = Tactic(
    "direct", strided_inputs=frozenset({0}), strided_outputs=frozenset({0}), priority=-1
)

LAYOUT = "TTTT" + "i" * 6 + "3i3i" + "3i3i3i3i" + "i3f" + "5q5q"
"""struct direct in direct.h."""

FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

IMAGE_CHANNELS = 4
"""Up to so many input channels the kernel has a chance to be the fastest."""


class DirectKernel:
    """The kernel with an activation."""

    tactic = TACTIC
    workspace_bytes = 0

    def __init__(self, problem: Problem, activation: Activation) -> None:
        self._problem = problem
        self._activation = activation

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        problem, groups = self._problem, self._problem.groups
        source, weights = inputs[:2]
        filters = output.shape[1] // groups
        lanes = 8 if filters <= 8 else 16
        packed = stream.store.pack(
            ("plugrt-twins direct convolution", weights.digest, groups, lanes),
            lambda: pack(cast(Array, weights.desc.value), groups, lanes),
        )
        window = problem.window.in_three_dimensions()
        has_bias = problem.bias is not None
        stream.launch(
            kernels.kernel("twins_direct_convolution", LAYOUT),
            source, packed, inputs[2] if has_bias else packed, output,
            int(has_bias), lanes, source.shape[0], groups,
            source.shape[1] // groups, filters,
            three(source.shape[2:], 1), three(output.shape[2:], 1),
            window.size, window.strides, window.dilations, window.before,
            *self._activation, _strides(source.desc), _strides(output.desc),
        )  # fmt: skip


def methods(problem: Problem, is_needed: bool) -> Iterator[DirectKernel]:
    """The kernel where it fits and, unless `is_needed`, may be the fastest."""
    activation = activation_of(problem.epilogue)
    fits = (
        activation is not None
        and problem.is_float32
        and problem.weights.is_constant
        and all(layout in FORMATS for layout in problem.formats)
    )
    is_image = problem.groups == 1 and problem.source.sizes[1] <= IMAGE_CHANNELS
    if activation is not None and fits and (is_needed or is_image):
        yield DirectKernel(problem, activation)


def pack(weights: Array, groups: int, lanes: int) -> Array:
    """[M, C / groups, window...] -> [groups, blocks of filters, window, C / groups, lanes], with
    zeros for the filters that the last block of a group lacks."""
    filters, channels = weights.shape[:2]
    per_group = filters // groups
    missing = -per_group % lanes
    grouped = weights.astype(np.float32).reshape(groups, per_group, channels, -1)
    whole = np.pad(grouped, [(0, 0), (0, missing), (0, 0), (0, 0)])
    blocks = whole.reshape(groups, -1, lanes, channels, whole.shape[-1])
    return np.ascontiguousarray(blocks.transpose(0, 1, 4, 3, 2))


def _strides(desc: TensorDesc) -> tuple[int, ...]:
    image, channel, *spatial = desc.element_strides
    return (image, channel, *three(spatial, 0))
