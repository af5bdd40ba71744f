"""A reduction as two sets of strided loops: dimensions that are kept, and those reduced."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...plugins import Kernel, ShapeError, Stream, TensorDesc, TensorView, format_shape
from ..kernels import kernel

MAXIMUM_RANK = 8
LAYOUT = "TTii8q8q8q8q8q"


@dataclass
class Loop:
    """One dimension; strides in bytes."""

    size: int
    input_stride: int
    output_stride: int


@dataclass(frozen=True)
class StridedPlan:
    """Loops in the input's memory order, the innermost last; at least one of either kind."""

    kept: Sequence[Loop]
    reduced: Sequence[Loop]

    @classmethod
    def of(
        cls, source: TensorDesc, target: TensorDesc, axes: Collection[int], keep_dims: bool
    ) -> StridedPlan:
        """The plan for reducing `axes` of `source` into `target`."""
        target_strides = iter(target.element_strides)
        kept: list[Loop] = []
        reduced: list[Loop] = []
        for axis, (size, stride) in enumerate(
            zip(source.sizes, source.element_strides, strict=True)
        ):
            into = next(target_strides) if keep_dims or axis not in axes else 0
            loop = Loop(size, stride * source.dtype.itemsize, into * target.dtype.itemsize)
            if axis in axes:
                reduced.append(Loop(loop.size, loop.input_stride, 0))
            else:
                kept.append(loop)
        plan = cls(_merged(kept), _merged(reduced))
        if max(len(plan.kept), len(plan.reduced)) > MAXIMUM_RANK:
            raise ShapeError(
                f"reducing {format_shape(source.shape)} needs more than {MAXIMUM_RANK} loops; "
                "reshape the tensor first"
            )
        return plan

    def launch(
        self, name: str, source: TensorView, target: TensorView, stream: Stream
    ) -> None:
        """Put the kernel `name` on the stream."""
        reduction: Kernel = kernel(name, LAYOUT)
        stream.launch(
            reduction,
            source,
            target,
            len(self.kept),
            len(self.reduced),
            [loop.size for loop in self.kept],
            [loop.input_stride for loop in self.kept],
            [loop.output_stride for loop in self.kept],
            [loop.size for loop in self.reduced],
            [loop.input_stride for loop in self.reduced],
        )


def _merged(loops: list[Loop]) -> list[Loop]:
    """The loops by falling stride, neighbours joined where their elements are evenly spaced."""
    merged: list[Loop] = []
    for loop in sorted(loops, key=lambda loop: -loop.input_stride):
        if loop.size == 1:
            continue
        outer = merged[-1] if merged else None
        if (
            outer is not None
            and outer.input_stride == loop.size * loop.input_stride
            and outer.output_stride == loop.size * loop.output_stride
        ):
            outer.size *= loop.size
            outer.input_stride = loop.input_stride
            outer.output_stride = loop.output_stride
        else:
            merged.append(Loop(loop.size, loop.input_stride, loop.output_stride))
    return merged or [Loop(1, 0, 0)]
