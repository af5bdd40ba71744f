"""Walking several tensors together: broadcasting, formats and strides reduced to few loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..dims import format_shape
from ..errors import ShapeError
from ..tensor import BLOCK, Format, TensorDesc


@dataclass(frozen=True)
class Operand:
    """A tensor to walk; with `axis` a vector along that axis of the output."""

    desc: TensorDesc
    axis: int | None = None


@dataclass(frozen=True)
class Loops:
    """Nested loops, outermost first.

    `sizes` has one entry per loop; `strides[k][i]` is the distance in bytes that operand k
    moves in loop i, 0 where it is broadcast.
    """

    sizes: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]


def loops_over(output: TensorDesc, operands: Sequence[Operand]) -> Loops:
    """The fewest loops that visit every element of `output`, and beside it each operand's.

    `strides` begins with the operands and ends with the output, whose memory order decides
    the order of the loops. Shapes broadcast as in NumPy. Raises ShapeError when an operand
    does not broadcast to the output.
    """
    shape = output.sizes
    whole = [*operands, Operand(output)]
    split = _split_axis(whole, len(shape))
    sizes = list(shape)
    if split is not None:
        sizes[split] //= BLOCK
        sizes.append(BLOCK)
    rows = [_strides(operand, shape, split) for operand in whole]
    order = [axis for axis in range(len(sizes)) if sizes[axis] != 1]
    order.sort(key=lambda axis: -abs(rows[-1][axis]))
    return _merged([sizes[a] for a in order], [[row[a] for a in order] for row in rows])


def _split_axis(operands: Sequence[Operand], rank: int) -> int | None:
    """The output's axis that some operand has in blocks; None when none has."""
    axes = {
        rank - operand.desc.rank + 1
        for operand in operands
        if operand.desc.format is Format.CHANNELS_BLOCKED_16
    }
    if len(axes) > 1:
        raise ShapeError("blocked tensors of different ranks cannot be combined; reformat one")
    return axes.pop() if axes else None


def _strides(operand: Operand, shape: Sequence[int], split: int | None) -> list[int]:
    """Byte strides along the output's axes, and one more inside the split axis if there is one."""
    desc = operand.desc
    item = desc.dtype.itemsize
    if operand.axis is None:
        sizes, steps = _aligned(desc, shape)
    else:
        sizes, steps = _vector(desc, operand.axis, shape)
    strides = []
    for axis, (size, step) in enumerate(zip(sizes, steps, strict=True)):
        if size not in (1, shape[axis]):
            raise ShapeError(
                f"shape {format_shape(desc.sizes)} does not broadcast to {format_shape(shape)}: "
                f"size {size} on axis {axis} must be 1 or {shape[axis]}"
            )
        strides.append(step * item if size != 1 else 0)
    if split is not None:
        inside = strides[split]
        if desc.format is Format.CHANNELS_BLOCKED_16:
            inside = item
        else:
            strides[split] *= BLOCK
        strides.append(inside)
    return strides


def _aligned(desc: TensorDesc, shape: Sequence[int]) -> tuple[list[int], list[int]]:
    missing = len(shape) - desc.rank
    if missing < 0:
        raise ShapeError(
            f"shape {format_shape(desc.sizes)} has more dimensions than {format_shape(shape)}"
        )
    return [1] * missing + list(desc.sizes), [0] * missing + list(desc.element_strides)


def _vector(desc: TensorDesc, axis: int, shape: Sequence[int]) -> tuple[list[int], list[int]]:
    long = [i for i, size in enumerate(desc.sizes) if size != 1]
    if len(long) > 1 or not -len(shape) <= axis < len(shape):
        raise ShapeError(
            f"shape {format_shape(desc.sizes)} is no vector along axis {axis} of "
            f"{format_shape(shape)}"
        )
    sizes, steps = [1] * len(shape), [0] * len(shape)
    if long:
        sizes[axis] = desc.sizes[long[0]]
        steps[axis] = desc.element_strides[long[0]]
    return sizes, steps


def _merged(sizes: list[int], rows: list[list[int]]) -> Loops:
    """Neighbouring loops that every operand walks evenly become one."""
    kept: list[int] = []
    strides: list[list[int]] = [[] for _ in rows]
    for axis, size in enumerate(sizes):
        if kept and all(
            known[-1] == row[axis] * size for known, row in zip(strides, rows, strict=True)
        ):
            kept[-1] *= size
            for known, row in zip(strides, rows, strict=True):
                known[-1] = row[axis]
        else:
            kept.append(size)
            for known, row in zip(strides, rows, strict=True):
                known.append(row[axis])
    return Loops(tuple(kept), tuple(tuple(row) for row in strides))
