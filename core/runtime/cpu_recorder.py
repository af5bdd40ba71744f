"""Recordings for the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..devices.cpu import (
    Affinity,
    CpuRecording,
    CpuStream,
    Runner,
    SlotTable,
    release_team,
)
from ..devices.cpu.memory import read_int64
from ..devices.recorder import BodyRecorder, Ends, Recorder
from .weight_store import PackedWeights, RecordingStore


@dataclass(frozen=True)
class Schedule:
    """Where a context's threads run, and which thread replays; None for the caller's choice."""

    affinity: Affinity | None = None
    runner: Runner | None = None


class CpuRecorder(Recorder):
    """Command lists for a team of `threads`."""

    def __init__(
        self, packed: PackedWeights, threads: int, schedule: Schedule = Schedule(),
    ) -> None:
        self.packed = packed
        self._threads = threads
        self._schedule = schedule

    def slots(self) -> SlotTable:
        return SlotTable()

    def record(
        self, slots: SlotTable, layers: Callable[[CpuStream], None], record_body: BodyRecorder,
        ends: Ends,
    ) -> CpuRecording:  # fmt: skip
        store = RecordingStore(self.packed, slots)
        stream = CpuStream(slots, store, self._threads, record_body)
        layers(stream)
        self.packed.release_constants()
        if self._threads > 1:  # packing may have started a team on a thread that never replays
            release_team()
        recording = stream.finish()
        recording.affinity, recording.runner = self._schedule.affinity, self._schedule.runner
        return recording

    def read_int64(self, address: int) -> int:
        return read_int64(address)
