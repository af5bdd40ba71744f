"""A product with weights (convolution, inner product, matrix product) as a oneDNN primitive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plugins import Array, Stream, TensorView
from .fused_epilogue import FusedEpilogue
from .quantised_arguments import QuantisedArguments
from .scratchpad import bind_scratchpad

if TYPE_CHECKING:
    from ..plugins.native.onednn import MemoryDesc, Primitive


@dataclass(frozen=True)
class OneDnnProduct:
    """The primitive and what it reads: source, weights, perhaps bias, the epilogue's operands.

    `plain_weights` describes the weights as the network has them.
    """

    primitive: Primitive
    fused: FusedEpilogue
    quantised: QuantisedArguments
    plain_weights: MemoryDesc
    has_bias: bool

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        """Put it on the stream, constant weights in the layout that it prefers."""
        from ..plugins.native.onednn import Argument

        bindings: dict[int, Any] = {
            Argument.SRC: inputs[0],
            Argument.WEIGHTS: self._packed(stream, inputs[1]),
            Argument.DST: output,
        }
        if self.has_bias:
            bindings[Argument.BIAS] = inputs[2]
        bindings |= self.quantised.bindings
        bindings |= self.fused.bindings(inputs)
        bindings |= bind_scratchpad(self.primitive, workspace, stream)
        self.primitive.record(stream, bindings)

    def _packed(self, stream: Stream, weights: TensorView) -> TensorView:
        from ..plugins.native import onednn

        plain, wanted = self.plain_weights, self.primitive.weights_desc
        value = weights.desc.value
        if value is None or plain.same_layout(wanted):
            return weights

        def make() -> Array:
            return onednn.pack(
                np.ascontiguousarray(value), plain, wanted, threads=stream.thread_count
            )

        key = ("onednn weights", weights.digest, str(plain.key), str(wanted.key))
        return stream.store.pack(key, make)


def worth_trying(found: Iterable[Primitive], wanted: str | None = None) -> list[Primitive]:
    """Implementations without last resorts and, in 8 bits, without those that may saturate; or
    the one called `wanted`, without looking further."""
    if wanted is not None:
        return [*islice((p for p in found if p.implementation == wanted), 1)]
    found = list(found)
    exact = [p for p in found if any(name in p.implementation for name in EXACT_IN_8_BITS)]
    kept = exact or found
    return [p for p in kept if not any(n in p.implementation for n in LAST_RESORTS)] or kept[:1]


def priority_of(primitive: Primitive) -> int:
    """The priority of a tactic: last resorts give way where nothing is measured."""
    return -2 if any(name in primitive.implementation for name in LAST_RESORTS) else 0


LAST_RESORTS = ("gemm:jit", "gemm_s8u8s32", "simple_", "sse41")
"""Parts of names of implementations that are worth a try only where there is nothing else."""

EXACT_IN_8_BITS = ("vnni", "amx")
"""Parts of names that only 8-bit implementations have, namely those that add products in 32 bits;
the older instructions add pairs in 16 bits and saturate."""
