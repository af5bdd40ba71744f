"""The CPU at work for one engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...plugins import Array, DeviceSession
from ..devices.cpu import Affinity, Runner, warn_without_onednn
from .context import ExecutionContext
from .cpu_recorder import Schedule
from .packed_cache import PackedCache
from .planned import PlannedNetwork
from .weight_store import PackedWeights


class CpuSession(DeviceSession):
    """Packed weights in the host's memory."""

    device = "cpu"

    def __init__(
        self, release: Callable[[], None] = lambda: None, cache: PackedCache | None = None
    ) -> None:
        warn_without_onednn()
        self._packed = PackedWeights(release, cache)

    @property
    def packed_bytes(self) -> int:
        return self._packed.nbytes

    @property
    def weights(self) -> Sequence[Array]:
        return self._packed.arrays

    def create_context(
        self, planned: PlannedNetwork, threads: int, *, processors: Sequence[int] | None = None,
        spin_seconds: float = 0.0, **options: Any,
    ) -> ExecutionContext:  # fmt: skip
        schedule = Schedule(
            None if processors is None else Affinity(processors),
            Runner(threads, spin_seconds) if spin_seconds else None,
        )
        return ExecutionContext(planned, self._packed, threads, schedule=schedule, **options)
