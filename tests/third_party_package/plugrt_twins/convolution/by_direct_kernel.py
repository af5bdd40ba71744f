"""Convolution by direct.c: first layers, slices, and machines without oneDNN; where every channel
has a filter of its own and channels are last, by its depthwise kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from plugrt.plugins import Array, Format, Stream, Tactic, TensorDesc, TensorView

from .. import kernels
from ..windows import three
from .activation import Activation, activation_of
from .problem import Problem

DIRECT, DEPTHWISE = (
    Tactic(name, strided_inputs=frozenset({0}), strided_outputs=frozenset({0}))
    for name in ("direct", "depthwise")
)

NAMES = (DIRECT.name, DEPTHWISE.name)

LAYOUT = "TTTT" + "i" * 6 + "3i3i" + "3i3i3i3i" + "i3f" + "5q5q"
"""struct direct in direct.h."""

FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

IMAGE_CHANNELS = 4
"""Up to so many input channels the kernel has a chance to be the fastest."""

DEPTHWISE_CHANNELS = 8
"""The fewest that the depthwise kernel takes."""


class DirectKernel:
    """One of the two kernels with an activation."""

    workspace_bytes = 0

    def __init__(self, problem: Problem, activation: Activation, tactic: Tactic) -> None:
        self.tactic = tactic
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
        name = self.tactic.name

        def make() -> Array:
            plain = cast(Array, weights.desc.value)
            return pack(plain, groups, lanes) if name == "direct" else pack_depthwise(plain)

        key = (f"plugrt-twins {name} convolution", weights.digest, groups, lanes)
        packed = stream.store.pack(key, make)
        window = problem.window.in_three_dimensions()
        has_bias = problem.bias is not None
        stream.launch(
            kernels.kernel(f"twins_{name}_convolution", LAYOUT),
            source, packed, inputs[2] if has_bias else packed, output,
            int(has_bias), lanes, source.shape[0], groups,
            source.shape[1] // groups, filters,
            three(source.shape[2:], 1), three(output.shape[2:], 1),
            window.size, window.strides, window.dilations, window.before,
            *self._activation, _strides(source.desc), _strides(output.desc),
        )  # fmt: skip


def methods(problem: Problem, is_needed: bool) -> Iterator[DirectKernel]:
    """The kernel that fits and, unless `is_needed`, may be the fastest."""
    activation = activation_of(problem.epilogue)
    if activation is None or not problem.is_float32 or not problem.weights.is_constant:
        return
    if any(layout not in FORMATS for layout in problem.formats):
        return
    channels = problem.source.sizes[1]
    is_depthwise = (
        problem.groups == channels == problem.output.sizes[1]
        and channels >= DEPTHWISE_CHANNELS
        and problem.formats == (Format.CHANNELS_LAST, Format.CHANNELS_LAST)
    )
    if is_needed and is_depthwise:
        yield DirectKernel(problem, activation, DEPTHWISE)
    elif is_needed or (problem.groups == 1 and channels <= IMAGE_CHANNELS):
        yield DirectKernel(problem, activation, DIRECT)


def pack_depthwise(weights: Array) -> Array:
    """[C, 1, window...] -> [window, C]."""
    return np.ascontiguousarray(weights.reshape(len(weights), -1).T.astype(np.float32))


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
