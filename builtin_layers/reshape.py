"""Layers that give the same elements, in the same order, another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plugins import (
    Alias,
    Array,
    DataType,
    DimLike,
    LayerNode,
    Patch,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    ViewOf,
    attribute,
    floor_div,
    format_shape,
    product,
)
from ..plugins.dims import is_static
from ..plugins.native import copying
from .axes import normalize_axes, normalize_axis
from .data_movement import DataMovement, is_plain, reshaped
from .same_elements import merged
from .shape_arithmetic import from_dims, known_dims


class DenseView(DataMovement):
    """Base: the output is the input's memory, or a copy of it. LINEAR, any element type."""

    type = "DenseView"

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return () if request.epilogue else (Tactic("view", strided_outputs=frozenset({0})),)

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        return (ViewOf(0, 0),) if is_plain(inputs[0]) and is_plain(outputs[0]) else ()

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        source, target = reshaped(inputs[0], outputs[0].shape), outputs[0]
        if source.ref != target.ref:
            copying.record(stream, source, target)

    def keeps_order(self, shape: Shape) -> bool:
        return True

    def rewrite(self, view: LayerNode) -> Patch | None:
        return merged(view, lambda target: Reshape(shape=target))

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        descs = [
            None if array is None
            else TensorDesc(DataType.of(array.dtype), array.shape, value=array)
            for array in inputs
        ]
        shape = self.getOutputDimensions(0, descs)  # type: ignore[arg-type]
        return [np.reshape(inputs[0], shape)]

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        dims = known_dims(inputs[0])
        shape = self.getOutputDimensions(0, inputs)
        if dims is None or not is_static(shape):
            return None
        return from_dims(dims.reshape(shape), inputs[0].dtype)  # type: ignore[arg-type]


class Reshape(DenseView):
    """The input in another shape of as many elements. ONNX Reshape (allowzero 0).

    The shape is the attribute, or the second input, an integer vector that must be constant or
    computed from sizes. In it 0 keeps the input's size on that axis, and one -1 takes what is
    left. Raises ShapeError when the number of elements differs.
    """

    type = "Reshape"
    input_names = ("input", "shape?")
    shape = attribute(tuple[int, ...], (), "target shape, where there is no second input")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        if len(inputs) < 2 or inputs[1] is None:
            return resolve_shape(inputs[0].shape, self.shape)
        target = known_dims(inputs[1])
        if target is None or target.ndim != 1:
            raise ShapeError(
                "Reshape: the target shape must be an integer vector that is constant or "
                "computed from sizes; use Shape, Gather and the like, or the attribute `shape`"
            )
        return resolve_shape(inputs[0].shape, list(target))


class Flatten(DenseView):
    """[d0, ..., dn] as a matrix: axes before `axis` together, and the rest. ONNX Flatten."""

    type = "Flatten"
    axis = attribute(int, 1, "first axis of the second part; may equal the rank")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        axis = self.axis
        if axis != len(shape):
            axis = normalize_axis(self.type, axis, len(shape))
        return (product(shape[:axis]), product(shape[axis:]))


class Squeeze(DenseView):
    """The input without `axes`, whose sizes must be 1. ONNX Squeeze.

    Without axes every axis goes whose size is known to be 1.
    """

    type = "Squeeze"
    axes = attribute(tuple[int, ...], (), "axes to remove; () means all of size 1")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        axes = normalize_axes(self.type, self.axes, len(shape))
        if not self.axes:
            axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
        for axis in axes:
            # A symbolic size is looked at again when it is known.
            if isinstance(shape[axis], int) and shape[axis] != 1:
                raise ShapeError(
                    f"Squeeze: axis {axis} of {format_shape(shape)} has size {shape[axis]}; "
                    "only axes of size 1 can be removed"
                )
        return tuple(size for axis, size in enumerate(shape) if axis not in axes)


class Unsqueeze(DenseView):
    """The input with axes of size 1 inserted, so that they are `axes` of the output.

    ONNX Unsqueeze.
    """

    type = "Unsqueeze"
    # An inserted axis leaves a data-dependent one where it is.
    acceptsPadded = True
    axes: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...], doc="axes of the output that are new"
    )

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        rank = inputs[0].rank + len(self.axes)
        axes = normalize_axes(self.type, self.axes, rank)
        rest = iter(inputs[0].shape)
        return tuple(1 if axis in axes else next(rest) for axis in range(rank))


def resolve_shape(source: Shape, target: Sequence[DimLike]) -> Shape:
    """The shape that `target`, with its 0 and -1, means for a tensor of shape `source`."""

    def refuse(reason: str) -> ShapeError:
        return ShapeError(
            f"Reshape: {format_shape(source)} cannot become {format_shape(target)}: {reason}"
        )

    sizes: list[DimLike] = []
    inferred = None
    for axis, size in enumerate(target):
        if size == 0:
            if axis >= len(source):
                raise refuse(f"size 0 keeps axis {axis}, which the input does not have")
            size = source[axis]
        elif size == -1:
            if inferred is not None:
                raise refuse("give -1 once")
            inferred = axis
        elif isinstance(size, int) and size < 0:
            raise refuse(f"size {size} is negative; use -1 for one unknown size")
        sizes.append(size)
    total = product(source)
    if inferred is not None:
        known = product(size for axis, size in enumerate(sizes) if axis != inferred)
        if known == 0:
            raise refuse("-1 is undefined beside a size of zero; give the size")
        if isinstance(total, int) and isinstance(known, int) and total % known:
            raise refuse(f"{total} elements are not a multiple of {known}")
        sizes[inferred] = floor_div(total, known)
    elif isinstance(total, int) and is_static(sizes) and product(sizes) != total:
        raise refuse(f"{total} elements are not {product(sizes)}")
    return tuple(sizes)
