"""The timer of a build and the cache of its times, from opening to saving."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...plugins import PlugrtError
from ..explanation import Note
from ..graph import Network
from ..graph.build_descs import Storage
from ..tuning.bench import TuningBench
from ..tuning.progress import ProgressMeter
from ..tuning.timer import Timer
from ..tuning.timing_cache import TimingCache
from .config import BuilderConfig

Report = Callable[[str], None]


def open_timing_cache(
    config: BuilderConfig, fingerprint: Mapping[str, str], report: Report
) -> TimingCache:
    """The configuration's cache, a new one where it has none. What is wrong with a file is
    reported, and told as a warning. Raises PlugrtError for a folder."""
    given = config.timing_cache
    if isinstance(given, TimingCache):
        return given.for_device(fingerprint)
    if given is None:
        return TimingCache(fingerprint)
    path = Path(given)
    if path.is_dir():
        raise PlugrtError(f"timing cache {path} is a folder; give a file name")
    return TimingCache.load(path, fingerprint, lambda line: _tell(line, report))


def network_timer(
    config: BuilderConfig, network: Network, cache: TimingCache, storages: Sequence[Storage],
    bench: TuningBench, report: Report,
) -> Timer:  # fmt: skip
    """A timer for layers of this network, whose weights tell where they will be read from."""
    narrowest = min(storage.floats.itemsize for storage in storages)
    if config.eight_bits is not None:
        narrowest = 1
    touched = sum(
        tensor.value.size * min(tensor.dtype.itemsize, narrowest)
        for tensor in network.tensors.values()
        if tensor.is_constant and tensor.value is not None
    )
    return Timer(
        cache, config.threads, network.registry, bench.efforts[config.tune], report,
        where=bench.weights_of(touched),
        meter=ProgressMeter(config.progress, config.tune_time), bench=bench,
    )  # fmt: skip


def finish_tuning(
    config: BuilderConfig, timer: Timer, cache: TimingCache, report: Report
) -> dict[str, Any]:
    """Keep the times, and tell how the tuning went: in the report and as data."""
    timer.close()
    facts = {
        "device": config.device,
        "tune": config.tune,
        "seconds": timer.meter.seconds,
        "measured": timer.measured,
        "skipped": timer.skipped,
        "weights": timer.where.value,
        "threads": config.threads,
    }
    if timer.skipped:
        text = (
            f"its {config.tune_time:g} s were over before {timer.skipped} candidates were "
            "measured; where none was, rules decided"
        )
        report(Note("tuning", "time limit", text))
    if timer.measured and isinstance(config.timing_cache, (str, Path)):
        path = Path(config.timing_cache)
        try:
            cache.save(path)
        except (OSError, PlugrtError) as error:  # the engine is not lost for want of it
            _tell(f"the times could not be kept in timing cache {path}: {error}", report)
    return facts


def _tell(line: str, report: Report) -> None:
    report(Note("timing cache", "problem", line))
    warnings.warn(line, RuntimeWarning, stacklevel=6)
