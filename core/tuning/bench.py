"""Where candidates are timed: the part of tuning that differs between devices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from ...plugins import Array, TensorDesc
from ..devices.cpu import Weights
from ..graph import Layer
from .effort import Effort

if TYPE_CHECKING:
    from .candidates import Candidate

Sample = Callable[[TensorDesc], Array]
"""Makes contents for a tensor."""

Run = Callable[[], float]
"""Runs a candidate once and returns seconds."""


class TuningBench(ABC):
    """A device on which single layers run, each by one candidate."""

    efforts: Mapping[str, Effort | None]
    """By the word that a configuration has for them."""

    promising = 2.5
    """How many times slower than the best a candidate may seem and be measured once more: on a busy
    processor that is what losing it for a while costs."""

    @abstractmethod
    def weights_of(self, touched: int) -> Weights:
        """Where a layer finds its weights in a network that touches so many bytes of them."""

    @abstractmethod
    def prepared(
        self, layer: Layer, candidate: Candidate, sample: Sample, where: Weights
    ) -> AbstractContextManager[Run]:
        """A candidate, ready to be timed within the block, its weights lying `where`. Raises
        whatever the layer raises."""

    @abstractmethod
    def guess(self, nbytes: int) -> float:
        """Seconds of a pass that reads and writes so many bytes, where nothing was measured."""

    def worth_timing(self, layer: Layer, found: list[Candidate]) -> list[Candidate]:
        """The candidates that may be the fastest; by default all."""
        return found

    def compile_ahead(  # noqa: B027 - there is nothing to compile on the CPU
        self, wanted: Iterable[tuple[Layer, Sequence[Candidate]]]
    ) -> None:
        """Compile what these candidates need, many at once, while `wanted` is being found."""

    def close(self) -> None:  # noqa: B027 - most keep nothing
        """Release what was kept between candidates."""
