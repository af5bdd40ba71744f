"""Split: a tensor cut into consecutive pieces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ..plugins import (
    BLOCK,
    Alias,
    Array,
    Combination,
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
from .axes import normalize_axis
from .data_movement import DataMovement, is_in_place
from .pieces import Cut, Cutting, Piece, read_before_join
from .shape_arithmetic import from_dims, known_dims
from .slice import taking


class Split(DataMovement, Cutting):
    """Pieces of `sizes` along `axis`, one output each. ONNX Split.

    Output k is a view where its piece is one gapless range of memory, or one of channels and its
    readers take gaps. Blocked formats take
    pieces of whole channel blocks. Raises ShapeError when the sizes do not add up to the axis.
    """

    type = "Split"
    formats = tuple(Format)
    axis = attribute(int, 1, "axis to cut")
    sizes: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...], doc="extent of every output",
        allowed=lambda sizes: bool(sizes) and min(sizes) >= 0, rule="sizes of 0 and above",
    )  # fmt: skip

    def getNbOutputs(self) -> int:
        return len(self.sizes)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = list(inputs[0].shape)
        axis = normalize_axis(self.type, self.axis, len(shape))
        # A symbolic size is looked at again when it is known.
        if isinstance(shape[axis], int) and shape[axis] != sum(self.sizes):
            raise ShapeError(
                f"Split: sizes {self.sizes} add up to {sum(self.sizes)}, axis {axis} of "
                f"{format_shape(shape)} has {shape[axis]}"
            )
        shape[axis] = self.sizes[index]
        return tuple(shape)

    @property
    def starts(self) -> list[int]:
        """Where each piece begins."""
        return [end - size for end, size in zip(accumulate(self.sizes), self.sizes, strict=True)]

    def cut(self, shape: Shape) -> Cut | None:
        axis = normalize_axis(self.type, self.axis, len(shape))
        return Cut(axis, [Piece(*pair) for pair in zip(self.starts, self.sizes, strict=True)])

    def rewrite(self, view: LayerNode) -> Patch | None:
        return read_before_join(view, taking)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return np.split(np.asarray(inputs[0]), self.starts[1:], self.axis)

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        dims = known_dims(inputs[0])
        return None if dims is None else from_dims(self.reference([dims])[index], inputs[0].dtype)

    def supportsFormat(self, combination: Combination) -> bool:
        source = combination.inputs[0]
        blocked = source.format is Format.CHANNELS_BLOCKED_16
        if blocked and self.axis % source.rank == 1 and any(n % BLOCK for n in self.sizes):
            return False
        same = all(output.format is source.format for output in combination.outputs)
        return same and super().supportsFormat(combination)

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        pieces = enumerate(self._pieces(TensorView(inputs[0], slot=0)))
        by_channels = self.axis % inputs[0].rank == 1
        return [
            ViewOf(k, 0, p.offset, None if p.desc.is_dense else p.desc.element_strides)
            for k, p in pieces
            if outputs[k].format is inputs[0].format and (p.desc.is_dense or by_channels)
        ]

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        for piece, output in zip(self._pieces(inputs[0]), outputs, strict=True):
            if not is_in_place(piece, output):
                copying.record(stream, piece, output)

    def _pieces(self, source: TensorView) -> list[TensorView]:
        axis = self.axis % source.desc.rank
        return [
            source.slice(axis, start, size)
            for start, size in zip(self.starts, self.sizes, strict=True)
        ]
