"""What layers have in common that move elements and never compute with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..plugins import (
    BLOCK,
    Combination,
    Format,
    LayerPlugin,
    RangeRule,
    SameRange,
    Shape,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)


class DataMovement(LayerPlugin):
    """Base: any element type; int8 where input 0 and all outputs are quantised alike."""

    type = "DataMovement"
    recordable = True
    devices = ("cpu", "cuda")
    formats: tuple[Format, ...] = (Format.LINEAR,)
    """Formats of input 0 and of the outputs that the layer can handle."""

    strided = True
    """Whether input 0 and the outputs may be slices of larger tensors."""

    def supportsFormat(self, combination: Combination) -> bool:
        source, *others = combination.inputs
        if any(desc is not None and desc.format is not Format.LINEAR for desc in others):
            return False
        return all(self.moves(source, output) for output in combination.outputs)

    def moves(self, source: TensorDesc, output: TensorDesc) -> bool:
        """Whether elements of `source` may go to `output` as they are."""
        return (
            source.format in self.formats
            and output.format in self.formats
            and source.dtype is output.dtype
            and source.quantization == output.quantization
            and (source.quantization is None or source.quantization.axis is None)
        )

    def keeps_order(self, shape: Shape) -> bool:
        """Whether the output has all elements of an input of this shape, in their order."""
        return False

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.epilogue:
            return ()
        outputs = range(len(request.outputs)) if self.strided else ()
        inputs = (0,) if self.strided else ()
        return (
            Tactic("move", strided_outputs=frozenset(outputs), strided_inputs=frozenset(inputs)),
        )

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)


def is_plain(desc: TensorDesc) -> bool:
    """True for LINEAR tensors without gaps: their elements follow each other."""
    return desc.format is Format.LINEAR and desc.is_dense


def reshaped(view: TensorView, shape: Sequence[int]) -> TensorView:
    """The elements of a plain tensor in another shape."""
    desc = replace(view.desc, shape=tuple(shape), strides=None, value=None)
    return TensorView(desc, view.slot, view.offset)


def is_in_place(source: TensorView, target: TensorView) -> bool:
    """True when `source`, element by element, is the memory of `target` already."""
    if source.ref != target.ref or source.desc.format is not target.desc.format:
        return False
    strides = zip(
        source.shape, source.desc.element_strides, target.desc.element_strides, strict=True
    )
    return all(size == 1 or mine == wanted for size, mine, wanted in strides)


def stepped(
    view: TensorView, begins: Sequence[int], sizes: Sequence[int], steps: Sequence[int]
) -> TensorView:
    """The elements begin, begin + step, ... of every axis, in place; steps may be negative.

    In blocked formats the channels must begin and end at whole blocks, with step 1.
    """
    strides = view.desc.element_strides
    offset = view.offset
    for axis, begin in enumerate(begins):
        blocked = axis == 1 and view.desc.format is Format.CHANNELS_BLOCKED_16
        offset += (begin // BLOCK if blocked else begin) * strides[axis] * view.dtype.itemsize
    desc = replace(
        view.desc,
        shape=tuple(sizes),
        strides=tuple(s * step for s, step in zip(strides, steps, strict=True)),
        value=None,
    )
    return TensorView(desc, view.slot, offset)

