"""Convolutions by oneDNN: its convolution primitives, and for single points its matrix product,
which reads and writes slices too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from plugrt.plugins import (
    Array,
    DeviceError,
    Format,
    Stream,
    Tactic,
    TensorDesc,
    TensorView,
)
from plugrt.plugins.native import onednn

from ..onednn_support import PostOps, post_ops, rank_of, scratch, worth_trying
from .eight_bits import Scales
from .problem import Problem

CONVOLUTION = "onednn:"
PRODUCT = "matmul:"


class OneDnnMethod:
    """One implementation; `held` is the input in whose buffer the residual sum happens."""

    def __init__(
        self,
        problem: Problem,
        primitive: onednn.Primitive,
        fused: PostOps,
        scales: Scales,
        weights: onednn.MemoryDesc,
        *,
        family: str,
        held: int | None,
        takes_slices: bool,
    ) -> None:
        self._has_bias = problem.bias is not None
        self._primitive = primitive
        self._fused = fused
        self._scales = scales
        self._weights = weights
        slices = frozenset({0}) if takes_slices else frozenset[int]()
        self.tactic = Tactic(
            f"{family}{primitive.implementation}" + ("" if held is None else f"+sum{held}"),
            strided_inputs=slices,
            strided_outputs=slices if held is None else frozenset(),
            accumulates_into=held,
            priority=rank_of(primitive),
        )
        self.workspace_bytes = primitive.scratchpad_bytes

    def prepare(self) -> bool:
        """The primitive exists already."""
        return True

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        bindings: dict[int, onednn.Binding] = {
            onednn.Argument.SRC: inputs[0],
            onednn.Argument.WEIGHTS: self._packed(stream, inputs[1]),
            onednn.Argument.DST: output,
            **self._scales.arrays,
            **{argument: inputs[position] for argument, position in self._fused.reads},
            **scratch(self._primitive, workspace, stream),
        }
        if self._has_bias:
            bindings[onednn.Argument.BIAS] = inputs[2]
        self._primitive.record(stream, bindings)

    def _packed(self, stream: Stream, weights: TensorView) -> TensorView:
        """Constant weights in the primitive's layout."""
        value, wanted = weights.desc.value, self._primitive.weights_desc
        if value is None or self._weights.same_layout(wanted):
            return weights

        def make() -> Array:
            return onednn.pack(np.ascontiguousarray(value), self._weights, wanted)

        key = ("plugrt-twins convolution", weights.digest, str(self._weights.key), str(wanted.key))
        return stream.store.pack(key, make)


def convolutions(problem: Problem) -> Iterator[OneDnnMethod]:
    """oneDNN's convolutions, the best by its own ranking first."""
    if not onednn.available() or not (problem.source.is_dense and problem.output.is_dense):
        return
    grouped = problem.groups > 1
    dims = problem.weights.sizes
    if grouped:
        dims = (problem.groups, dims[0] // problem.groups, *dims[1:])
    plain = onednn.MemoryDesc.dense(dims, problem.weights.dtype)
    weights = plain
    if problem.weights.is_constant:
        weights = onednn.MemoryDesc.any_layout(dims, problem.weights.dtype)
    scales = Scales.of(problem, 0b11 if grouped else 0b01)
    window, bias = problem.window, problem.bias
    after = window.exact_after(problem.source.sizes[2:], problem.output.sizes[2:])
    for held in (None, *problem.residuals):
        fused = post_ops(problem.epilogue, problem.inputs, problem.output, held=held)
        if fused is None:
            continue
        try:
            found = list(
                onednn.implementations(
                    onednn.convolution, onednn.MemoryDesc.of(problem.source), weights,
                    onednn.MemoryDesc.of(problem.output),
                    bias=None if bias is None else onednn.MemoryDesc.of(bias),
                    strides=window.strides, padding_before=window.before, padding_after=after,
                    dilations=window.dilations, attributes=scales.attributes(fused.operations),
                    threads=problem.threads,
                )
            )  # fmt: skip
        except DeviceError:
            continue
        for primitive in worth_trying(found):
            yield OneDnnMethod(
                problem, primitive, fused, scales, plain,
                family=CONVOLUTION, held=held, takes_slices=False,
            )  # fmt: skip


def products(problem: Problem) -> Iterator[OneDnnMethod]:
    """Matrix products of pixels and filters, where every output sees one channels-last pixel."""
    layouts = (Format.CHANNELS_LAST, Format.CHANNELS_LAST)
    is_product = problem.groups == 1 and problem.window.is_point and problem.formats == layouts
    if not (is_product and problem.weights.is_constant and onednn.available()):
        return
    filters, channels = problem.weights.sizes[:2]
    dtype = problem.weights.dtype
    plain = onednn.MemoryDesc.strided((channels, filters), dtype, (1, channels))
    scales = Scales.of(problem, 0b10)
    bias = None
    if problem.bias is not None:
        bias = onednn.MemoryDesc.dense((1, filters), problem.bias.dtype)
    for held in (None, *problem.residuals):
        fused = post_ops(
            problem.epilogue, problem.inputs, problem.output, held=held,
            describe=lambda desc, axis: _beside_pixels(desc, axis, problem.output),
        )  # fmt: skip
        if fused is None:
            continue
        try:
            found = list(
                onednn.implementations(
                    onednn.matmul, _pixels(problem.source),
                    onednn.MemoryDesc.any_layout((channels, filters), dtype),
                    _pixels(problem.output), bias=bias,
                    attributes=scales.attributes(fused.operations), threads=problem.threads,
                )
            )  # fmt: skip
        except DeviceError:
            continue
        for primitive in worth_trying(found):
            yield OneDnnMethod(
                problem, primitive, fused, scales, plain,
                family=PRODUCT, held=held, takes_slices=True,
            )  # fmt: skip


def _pixels(desc: TensorDesc) -> onednn.MemoryDesc:
    """The matrix [pixels of all images, channels]. Raises DeviceError for uneven distances."""
    image, _, *steps = desc.element_strides
    images, channels, *sizes = desc.sizes
    count = 1
    for size, step in zip((*reversed(sizes), images), (*reversed(steps), image), strict=True):
        if size > 1 and step != steps[-1] * count:
            raise DeviceError(f"the pixels of {desc} do not follow each other evenly")
        count *= size
    return onednn.MemoryDesc.strided((count, channels), desc.dtype, (steps[-1], 1))


def _beside_pixels(desc: TensorDesc, axis: int | None, output: TensorDesc) -> onednn.MemoryDesc:
    """An epilogue operand beside that matrix. Raises DeviceError where it has no such form."""
    if (desc.shape, desc.format) == (output.shape, output.format):
        return _pixels(desc)
    channels = 1
    if axis is None:
        channels = ((1,) * (output.rank - desc.rank) + desc.sizes)[1]
    elif axis == 1:
        channels = desc.sizes[0]
    if desc.format is not Format.LINEAR or not desc.is_dense or prod(desc.sizes) != channels:
        raise DeviceError(f"{desc} is no vector of channels")
    return onednn.MemoryDesc.dense((1, channels), desc.dtype)


FAMILIES = {CONVOLUTION: convolutions, PRODUCT: products}
"""By the prefix of the tactics' names."""
