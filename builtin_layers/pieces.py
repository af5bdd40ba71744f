"""Tensors cut along an axis and put together again: what a cut and a join do to each other.

A piece of a join that lies in one of its inputs is that input, or a piece of it; all pieces of a
tensor side by side are the tensor; a join of joins is one join.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from ..plugins import AnyTensor, LayerNode, LayerPlugin, Patch, Shape, TensorNode


class Piece(NamedTuple):
    """`size` consecutive indices of an axis."""

    start: int
    size: int


class Cut(NamedTuple):
    """What a layer gives of its input: one piece per output, along one axis."""

    axis: int
    pieces: Sequence[Piece]


class Cutting:
    """Mixed into layers whose outputs are pieces of input 0."""

    def cut(self, shape: Shape) -> Cut | None:
        """The pieces of an input of this shape; None where they are none of known size along
        one axis."""
        raise NotImplementedError


class Joining:
    """Mixed into layers whose output has the inputs side by side."""

    def joined_axis(self, rank: int) -> int:
        """The axis, counted from 0."""
        raise NotImplementedError


MakePiece = Callable[[int, Piece], LayerPlugin]
"""A layer that takes a piece of an axis."""


def read_before_join(view: LayerNode, make: MakePiece) -> Patch | None:
    """A cut of a join as cuts of the join's inputs, where no piece spans two of them."""
    source = view.inputs[0]
    cut = _cut_of(view)
    if source is None or cut is None:
        return None
    sizes = source.desc.shape
    patch = Patch()
    for output, piece in zip(view.outputs, cut.pieces, strict=True):
        whole = piece == (0, sizes[cut.axis])
        found = (source, piece) if whole else _inside(source, cut.axis, piece)
        if found is None or found[0].desc.quantization != output.desc.quantization:
            return None
        part, inner = found
        replacement: AnyTensor = part
        if inner.size != part.desc.shape[cut.axis] or output.is_output:
            name = view.name if len(view.outputs) == 1 else output.name
            (replacement,) = patch.add_layer(make(cut.axis, inner), [part], name)
        patch.replace(output, replacement)
    return patch


def merged_join(view: LayerNode, make: Callable[[], LayerPlugin]) -> Patch | None:
    """A join of all pieces of a tensor as the tensor; of joins as one join."""
    (output,) = view.outputs
    axis = _axis_of(view)
    if axis is None or output.desc.quantization is not None:
        return None
    patch = Patch()
    whole = _reassembled(view.inputs, axis)
    if whole is not None and not output.is_output and whole.desc.shape == output.desc.shape:
        patch.replace(output, whole)
        return patch
    flat: list[TensorNode | None] = []
    for tensor in view.inputs:
        before = None if tensor is None or tensor.only_consumer is None else tensor.producer
        nested = before is not None and _axis_of(before) == axis
        plain = tensor is not None and tensor.desc.quantization is None
        flat += before.inputs if before is not None and nested and plain else [tensor]
    if len(flat) == len(view.inputs):
        return None
    (result,) = patch.add_layer(make(), flat, view.name)
    patch.replace(output, result)
    return patch


def _axis_of(view: LayerNode) -> int | None:
    """The axis of a join; None for another layer."""
    if not isinstance(view.plugin, Joining):
        return None
    return view.plugin.joined_axis(view.outputs[0].desc.rank)


def _cut_of(view: LayerNode) -> Cut | None:
    source = view.inputs[0] if view.inputs else None
    if source is None or not isinstance(view.plugin, Cutting):
        return None
    return view.plugin.cut(source.desc.shape)


def _inside(source: TensorNode, axis: int, piece: Piece) -> tuple[TensorNode, Piece] | None:
    """The input of the join `source` that a piece lies in, and where."""
    join = source.producer
    if join is None or _axis_of(join) != axis:
        return None
    sizes = [0 if t is None else t.desc.shape[axis] for t in join.inputs]
    numbers = [size for size in sizes if isinstance(size, int)]
    if len(numbers) < len(sizes):
        return None
    for tensor, size, end in zip(join.inputs, numbers, accumulate(numbers), strict=True):
        start = piece.start - (end - size)
        if tensor is not None and start >= 0 and start + piece.size <= size and piece.size:
            return tensor, Piece(start, piece.size)
    return None


def _reassembled(inputs: Sequence[TensorNode | None], axis: int) -> TensorNode | None:
    """The tensor of which the inputs are all pieces along the axis, in order."""
    found: TensorNode | None = None
    end = 0
    for tensor in inputs:
        before = None if tensor is None else tensor.producer
        cut = None if before is None else _cut_of(before)
        if tensor is None or before is None or cut is None or cut.axis != axis:
            return None
        index = next(k for k, output in enumerate(before.outputs) if output is tensor)
        source = before.inputs[0]
        if cut.pieces[index].start != end or (found is not None and source is not found):
            return None
        found = source
        end += cut.pieces[index].size
    return found if found is not None and found.desc.shape[axis] == end else None
