"""A convolution with all sizes known, and what the ways to compute it have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from plugrt.plugins import DataType, Epilogue, Format, Stream, Tactic, TensorDesc, TensorView

from ..windows import Window

SIXTEEN_BITS = (DataType.BFLOAT16, DataType.FLOAT16)


@dataclass(frozen=True)
class Problem:
    """`inputs` are source, weights, perhaps bias, then the epilogue's operands."""

    inputs: tuple[TensorDesc, ...]
    output: TensorDesc
    window: Window
    groups: int
    epilogue: Epilogue
    threads: int
    device: str = "cpu"
    tf32: bool = False

    @property
    def source(self) -> TensorDesc:
        """What is convolved."""
        return self.inputs[0]

    @property
    def weights(self) -> TensorDesc:
        """The filters [M, C / groups, window...]."""
        return self.inputs[1]

    @property
    def bias(self) -> TensorDesc | None:
        """The values [M] to add."""
        has_bias = len(self.inputs) - self.epilogue.operands > 2
        return self.inputs[2] if has_bias else None

    @property
    def is_float32(self) -> bool:
        """Whether nothing is in 8 bits."""
        own = (self.source, self.weights, self.bias, self.output)
        return all(desc is None or desc.dtype is DataType.FLOAT32 for desc in own)

    @property
    def formats(self) -> tuple[Format, Format]:
        """Of source and output."""
        return self.source.format, self.output.format

    @property
    def residuals(self) -> list[int]:
        """Epilogue operands that could lie in the output's buffer before it is written."""
        first = len(self.inputs) - self.epilogue.operands
        wanted = (self.output.shape, self.output.format, self.output.dtype.itemsize)
        return [
            k for k, desc in enumerate(self.inputs)
            if k >= first and not desc.is_constant
            and (desc.shape, desc.format, desc.dtype.itemsize) == wanted
        ]  # fmt: skip


class Method(Protocol):
    """One way to compute a problem."""

    tactic: Tactic
    workspace_bytes: int

    def prepare(self) -> bool:
        """Make what takes long to make; False where it turns out that this cannot run."""

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        """Put it on the stream."""


def is_narrow(
    source: TensorDesc, weights: TensorDesc, output: TensorDesc, bias: TensorDesc | None
) -> bool:
    """Whether 16-bit floats are multiplied, and kept or widened."""
    kept = [output] if bias is None else [output, bias]
    return source.dtype is weights.dtype and source.dtype in SIXTEEN_BITS and all(
        desc.dtype in (source.dtype, DataType.FLOAT32) for desc in kept
    )
