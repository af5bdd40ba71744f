"""Transpose: axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plugins import (
    Alias,
    Format,
    LayerNode,
    Patch,
    Shape,
    ShapeError,
    Stream,
    TensorDesc,
    TensorView,
    ViewOf,
    attribute,
    format_shape,
)
from ..plugins.native import copying
from .axes import normalize_axes
from .data_movement import DataMovement, is_in_place
from .reshape import Reshape
from .same_elements import merged
from .transpose_rewrite import rewritten


class Transpose(DataMovement):
    """Axis k of the output is axis permutation[k] of the input. ONNX Transpose.

    A view where the memory already is in the output's order: [N, C, H, W] to [N, H, W, C] costs
    nothing for a channels-last input. When the network is simplified, transposes meet and cancel,
    also past layers that take their axes in any order (`LayerPlugin.permuted`).
    """

    type = "Transpose"
    formats = (Format.LINEAR, Format.CHANNELS_LAST)
    permutation = attribute(tuple[int, ...], (), "input axis per output axis; () reverses")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return tuple(inputs[0].shape[axis] for axis in self.order(inputs[0].shape))

    def order(self, shape: Shape) -> tuple[int, ...]:
        """The permutation for a tensor of this shape, with axes from 0 on."""
        rank = len(shape)
        if not self.permutation:
            return tuple(reversed(range(rank)))
        if len(self.permutation) != rank:
            raise ShapeError(
                f"Transpose: permutation {self.permutation} does not fit {format_shape(shape)} "
                f"of rank {rank}; name every axis once"
            )
        return normalize_axes(self.type, self.permutation, rank)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [np.transpose(inputs[0], self.permutation or None)]

    def keeps_order(self, shape: Shape) -> bool:
        moved = [axis for axis in self.order(shape) if shape[axis] != 1]
        return moved == sorted(moved)

    def rewrite(self, view: LayerNode) -> Patch | None:
        return rewritten(
            view, order_of, lambda order: self.clone(permutation=order)
        ) or merged(view, lambda target: Reshape(shape=target))

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        source = self._permuted(TensorView(inputs[0], slot=0))
        target = as_strided(TensorView(outputs[0], slot=0))
        return (ViewOf(0, 0),) if is_in_place(source, target) else ()

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        source, target = self._permuted(inputs[0]), as_strided(outputs[0])
        if not is_in_place(source, target):
            copying.record(stream, source, target)

    def _permuted(self, view: TensorView) -> TensorView:
        return copying.permuted(view, self.order(view.shape))


def order_of(view: LayerNode) -> tuple[int, ...] | None:
    """The permutation of a transpose; None for another layer."""
    source = view.inputs[0] if view.inputs else None
    if source is None or not isinstance(view.plugin, Transpose):
        return None
    return view.plugin.order(source.desc.shape)


def as_strided(view: TensorView) -> TensorView:
    """A channels-last tensor as a LINEAR one with the strides that it has."""
    return copying.permuted(view, range(view.desc.rank))
