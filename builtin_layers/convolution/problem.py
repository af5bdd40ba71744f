"""One convolution with everything concrete, and the interface of the ways to compute it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ...plugins import Array, DataType, Epilogue, Format, Stream, Tactic, TensorDesc, TensorView
from .. import numpy_fallback
from ..sliding_window import SlidingWindow


@dataclass(frozen=True)
class ConvolutionProblem:
    """What is to be computed.

    `inputs` are all of the layer's: source, weights, perhaps bias, the epilogue's operands.
    """

    inputs: tuple[TensorDesc | None, ...]
    source: TensorDesc
    weights: TensorDesc
    bias: TensorDesc | None
    output: TensorDesc
    window: SlidingWindow
    groups: int
    epilogue: Epilogue
    threads: int
    device: str = "cpu"
    tf32: bool = False

    @property
    def layouts(self) -> tuple[object, ...]:
        """What tells this problem from others of one layer: sizes, layouts, threads. Alignment is
        left out, which no candidate minds."""
        descs = [
            None if d is None else (d.dtype, d.shape, d.format, d.strides, d.quantization,
                                    d.is_constant)
            for d in (*self.inputs, self.output)
        ]  # fmt: skip
        return self.threads, descs

    @property
    def is_float32(self) -> bool:
        """True when neither activations nor weights are quantised."""
        own = (self.source, self.weights, self.bias, self.output)
        return all(desc is None or desc.dtype is DataType.FLOAT32 for desc in own)

    @property
    def is_narrow(self) -> bool:
        """True when source and weights are of one 16-bit float type, and sums go to it or to
        float32."""
        own = (self.source, self.weights, self.output)
        return numpy_fallback.is_narrow_float(own, self.bias)

    @property
    def is_depthwise(self) -> bool:
        """True when every channel has one filter of its own."""
        return 1 < self.groups == self.source.shape[1] == self.output.shape[1]

    @property
    def epilogue_operands(self) -> list[TensorDesc]:
        """What the epilogue reads beside the result, without what is absent."""
        first = len(self.inputs) - self.epilogue.operands
        return [desc for desc in self.inputs[first:] if desc is not None]

    def has_formats(self, source: Format, output: Format) -> bool:
        """Whether the activations have these formats."""
        return self.source.format is source and self.output.format is output


def constant_weights(weights: TensorDesc) -> Array:
    """The contents of weights that are to be packed. Raises ValueError for others."""
    if weights.value is None:
        raise ValueError("weights that are packed must be constant")
    return weights.value


class Candidate(ABC):
    """One way to compute a problem, known to work for it."""

    tactic: Tactic
    workspace_bytes: int = 0
    """Known once `prepare` has returned."""

    def prepare(self) -> bool:
        """Make what takes long to make; False where it turns out that this cannot run."""
        return True

    @abstractmethod
    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        """Put it on the stream."""
