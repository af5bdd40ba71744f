"""Kernels of our own that end with a block epilogue and read packed weights: their common part."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, TypeVar

from ...plugins import Array, DataType, Stream, Tactic, TensorView
from .. import kernels
from . import block_epilogue as epilogues
from .block_epilogue import BlockEpilogue, block_epilogue
from .problem import Candidate, ConvolutionProblem, constant_weights

Kernel = TypeVar("Kernel", bound="BlockKernel")

HEAD = "TTTTi"
"""Input, weights, bias, output, whether there is a bias: so begin all arguments."""

BFLOAT16_FEATURES = frozenset({"avx512bf16", "avx512bw", "avx512vl"})
"""What kernels need that multiply pairs of bfloat16 values."""


class BlockKernel(Candidate):
    """One kernel with one form of its weights, which the tactic's name tells."""

    kernel: ClassVar[str]
    """The C function."""

    layout: ClassVar[str]
    """Its arguments between HEAD and the epilogue."""

    sums: ClassVar[bool] = False
    """Whether it adds an operand in registers."""

    def __init__(self, problem: ConvolutionProblem, epilogue: BlockEpilogue, name: str) -> None:
        self._problem = problem
        self._epilogue = epilogue
        first = frozenset({0})
        self.tactic = Tactic(
            name,
            strided_inputs=first,
            strided_outputs=first,
            may_alias=frozenset(epilogue.operands if epilogue.adds_operand else ()),
        )

    @staticmethod
    @abstractmethod
    def names(problem: ConvolutionProblem) -> Sequence[str]:
        """The names of the ways to compute the problem, a good guess first."""

    @abstractmethod
    def pack(self, weights: Array) -> Array:
        """The weights as the kernel reads them."""

    @abstractmethod
    def arguments(self, source: TensorView, output: TensorView) -> Sequence[Any]:
        """The values of `layout`."""

    @classmethod
    def candidates(
        cls: type[Kernel], problem: ConvolutionProblem, tactic: str | None = None
    ) -> Iterator[Kernel]:
        """The way with the tactic's name; without one all that fit."""
        names = cls.names(problem) if kernels.available() else ()
        wanted = [name for name in names if tactic in (None, name)]
        if not wanted:
            return
        epilogue = block_epilogue(
            problem.epilogue, problem.inputs, problem.output, sums=cls.sums
        )
        if epilogue is not None:
            for name in wanted:
                yield cls(problem, epilogue, name)

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        source, weights = inputs[0], inputs[1]
        packed = stream.store.pack(
            (self.tactic.name, weights.digest), lambda: self._packed(weights)
        )
        has_bias = self._problem.bias is not None
        stream.launch(
            kernels.kernel(self.kernel, HEAD + self.layout + epilogues.LAYOUT),
            source, packed, inputs[2] if has_bias else packed, output, int(has_bias),
            *self.arguments(source, output),
            *self._epilogue.arguments(stream, inputs, output, packed),
        )  # fmt: skip

    def _packed(self, weights: TensorView) -> Array:
        return self.pack(constant_weights(weights.desc))


def has_float32_bias(problem: ConvolutionProblem) -> bool:
    """Whether there is no bias, or one that the kernels can read."""
    return problem.bias is None or problem.bias.dtype is DataType.FLOAT32


def multiplies_pairs() -> bool:
    """Whether this processor multiplies pairs of bfloat16 values."""
    from ...plugins.native import cpu

    return cpu.features() >= BFLOAT16_FEATURES
