"""A oneDNN primitive as a way to compute a convolution."""

from __future__ import annotations

from collections.abc import Sequence

from ...plugins import Stream, Tactic, TensorView
from ..onednn_product import OneDnnProduct, priority_of
from .problem import Candidate


def implementation_in(tactic: str, prefix: str, accumulates: int | None) -> str | None:
    """The implementation in a tactic's name, None where it belongs to another way."""
    suffix = _suffix(accumulates)
    name = tactic.removeprefix(prefix).removesuffix(suffix)
    return name if f"{prefix}{name}{suffix}" == tactic and "+" not in name else None


def _suffix(accumulates: int | None) -> str:
    return "" if accumulates is None else f"+sum{accumulates}"


class OneDnnCandidate(Candidate):
    """One implementation. With `accumulates` the sum with that input happens in its buffer;
    `gaps` tells that source and destination may be slices of larger tensors."""

    def __init__(
        self, product: OneDnnProduct, *, prefix: str, accumulates: int | None, gaps: bool = False
    ) -> None:
        self._product = product
        first = frozenset({0}) if gaps else frozenset()
        self.tactic = Tactic(
            f"{prefix}{product.primitive.implementation}{_suffix(accumulates)}",
            strided_inputs=first,
            strided_outputs=first if accumulates is None else frozenset(),
            accumulates_into=accumulates,
            priority=priority_of(product.primitive),
        )
        self.workspace_bytes = product.primitive.scratchpad_bytes

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        self._product.record(stream, inputs, output, workspace)
