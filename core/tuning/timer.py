"""Measuring one candidate on its own buffers, as it will run in the network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from math import inf

import numpy as np

from ...plugin_registry import Registry
from ...plugins import (
    Array,
    Epilogue,
    Format,
    LayerPlugin,
    TensorDesc,
)
from ...plugins.expression import to_plain
from ..devices.cpu import Weights
from ..explanation import Note
from ..graph import Layer
from ..passes.copying import graph_attributes
from .bench import TuningBench
from .candidates import Candidate, Place
from .cpu_bench import CpuBench
from .effort import Effort
from .progress import ProgressMeter
from .timing_cache import TimingCache

THOROUGH = " full"
"""Ends the keys of times that `--tune full` took."""

FULL = "full"
"""Name of the effort for which time is no object."""

UNTIMED_START, UNTIMED_RATE = 2e-6, 10e9
"""Seconds of a layer that does nothing, and bytes per second, where nothing is timed. They are no
device's: what layers and conversions are said to take then only has to be of one kind."""

SAMPLES = 1 << 16
"""Random numbers that activations repeat: no kernel's time depends on more."""


class Timer:
    """Times candidates through a cache; without an `effort` it only looks them up.

    A candidate is timed as it will run: its input just written, its weights as far away as
    the whole network leaves them (`where`), the team awake.
    """

    def __init__(
        self, cache: TimingCache, threads: int, registry: Registry, effort: Effort | None,
        report: Callable[[str], None] = lambda line: None, *,
        where: Weights = Weights.MEMORY, meter: ProgressMeter | None = None,
        bench: TuningBench | None = None,
    ) -> None:  # fmt: skip
        self._bench = bench or CpuBench(registry, threads)
        self.cache = cache
        self.where = where
        self.measured = 0
        self.meter = meter or ProgressMeter()
        self._effort = effort
        self._threads = threads
        self._registry = registry
        self._report = report
        self._unusable: set[str] = set()
        self._skipped: set[str] = set()
        self._measured_once: set[str] = set()
        random = np.random.default_rng(0)
        self._floats = random.standard_normal(SAMPLES, np.float32)
        self._bits = random.integers(0, 2, SAMPLES)

    @property
    def knows_nothing(self) -> bool:
        """Whether every answer will be None."""
        return self._effort is None and not self.cache.seconds

    @property
    def measures(self) -> bool:
        """Whether what is not known is measured, while there is time."""
        return self._effort is not None

    @property
    def promising(self) -> float:
        """How many times slower than the best a candidate may seem and be measured again."""
        return self._bench.promising

    @property
    def skipped(self) -> int:
        """Candidates that were not measured because the time was over."""
        return len(self._skipped)

    def skip(self, key: str) -> None:
        """Count a candidate that is not measured because the time is over."""
        self._skipped.add(key)

    def seconds(
        self, layer: Layer, candidate: Candidate, best_so_far: float = inf
    ) -> float | None:
        """The candidate's time; None when it is not known and may not be measured, infinite
        when it cannot run. One that is clearly slower than `best_so_far` is soon given up."""
        if self.knows_nothing:
            return None
        key = self.key(layer.plugin, candidate, layer.epilogue)
        known = self.known(key)
        if known is not None:
            return known
        if key in self._unusable:
            return inf
        if self._effort is None or graph_attributes(layer.plugin) or candidate.on_host:
            return None
        if self.meter.is_over:
            self._skipped.add(key)
            return self.cache.seconds.get(key)
        return self._measure(layer, candidate, key, self._effort, best_so_far)

    def is_to_be_measured(self, layer: Layer, candidate: Candidate) -> str | None:
        """The key of a time that `seconds` would have to measure."""
        if self._effort is None or graph_attributes(layer.plugin) or candidate.on_host:
            return None
        key = self.key(layer.plugin, candidate, layer.epilogue)
        return key if self.known(key) is None and key not in self._unusable else None

    def measured_once(self, layer: Layer, candidate: Candidate) -> str | None:
        """The key of a time that was measured in this build, and not again."""
        key = self.key(layer.plugin, candidate, layer.epilogue)
        return key if key in self._measured_once else None

    def measure_again(
        self, key: str, layer: Layer, candidate: Candidate, best_so_far: float
    ) -> None:
        """Measure a candidate for the second time, while there is time; the lesser one counts."""
        if self._effort is not None and not self.meter.is_over:
            self._measure(layer, candidate, key, self._effort, best_so_far)
            self._measured_once.discard(key)

    def trust(self) -> None:
        """Take what was measured as a later build will find it in the cache."""
        self._measured_once.clear()

    @property
    def is_thorough(self) -> bool:
        """Whether time is no object."""
        return self._effort is not None and self._effort.name == FULL

    def known(self, key: str) -> float | None:
        """A time from the cache. Thorough tuning trusts no other; else a thorough one is best."""
        found = self.cache.seconds.get(f"{key}{THOROUGH}")
        return self.cache.seconds.get(key) if found is None and not self.is_thorough else found

    def _measure(
        self, layer: Layer, candidate: Candidate, key: str, effort: Effort, best_so_far: float
    ) -> float:
        sample = partial(self.sample, floats=layer.plugin.typical_floats)
        try:
            with self._bench.prepared(layer, candidate, sample, self.where) as run:
                best = effort.measure(run, best_so_far)
        except Exception as error:  # of whoever wrote the tactic: the others still run
            self._unusable.add(key)
            text = f"{candidate.tactic.name} cannot run: {type(error).__name__}: {error}"
            self._report(Note(layer.name, "failed", text, tactic=candidate.tactic.name))
            return inf
        finally:
            self.meter.advance()
        self._measured_once.add(key)
        return self.remember(key, best)

    def remember(self, key: str, seconds: float) -> float:
        """Keep a time, as rounded in the cache; the lesser one of two."""
        stored = f"{key}{THOROUGH}" if self.is_thorough else key
        least = min(float(f"{seconds:.3e}"), self.cache.seconds.get(stored, inf))
        self.cache.seconds[stored] = least
        self.measured += 1
        return least

    def key(self, plugin: LayerPlugin, candidate: Candidate, epilogue: Epilogue) -> str:
        """What a time depends on, readable but for the digest of attributes and epilogue."""
        rest = json.dumps([[to_plain(s.expression), s.operands] for s in epilogue.steps])
        state = hashlib.blake2b(plugin.serialize() + rest.encode(), digest_size=8).hexdigest()
        tensors = ",".join("-" if d is None else _text(d) for d in candidate.inputs)
        results = ",".join(map(_text, candidate.outputs))
        name = candidate.tactic.name
        if candidate.kernel:
            name = f"{candidate.kernel}:{name}"
        has_weights = any(d is not None and d.value is not None for d in candidate.inputs)
        where = f" weights={self.where.value}" if has_weights else ""
        if plugin.typical_floats != LayerPlugin.typical_floats:
            mean, deviation = plugin.typical_floats
            where += f" floats={mean}+-{deviation}"
        return (
            f"{plugin.type}/{plugin.version} {tensors} -> {results} {name} "
            f"threads={self._threads} {state}{where}"
        )

    def conversion_seconds(
        self, desc: TensorDesc, role: str, source: Place, target: Place
    ) -> float:
        """Time to convert a tensor with the registered layer of this role."""
        before, after = (
            replace(desc, dtype=dtype, format=layout, value=None)
            for dtype, layout in (source, target)
        )
        if self.knows_nothing:
            return UNTIMED_START + (before.nbytes + after.nbytes) / UNTIMED_RATE
        plugin = self._registry.by_role(role)()
        layer = Layer(role, plugin, [])
        found = self.seconds(layer, Candidate((before,), (after,), plugin.tactic))
        return self._guess(before, after) if found is None else found

    def worth_timing(self, layer: Layer, found: list[Candidate]) -> list[Candidate]:
        """The candidates that may be the fastest; all where time is no object."""
        return found if self.is_thorough else self._bench.worth_timing(layer, found)

    def compile_ahead(self, wanted: Iterable[tuple[Layer, Sequence[Candidate]]]) -> None:
        """Let the device compile what these candidates need, where they are to be measured."""
        if self._effort is not None and not self.meter.is_over:
            self._bench.compile_ahead(wanted)

    def close(self) -> None:
        """Release what the device keeps for measuring."""
        self._bench.close()

    def _guess(self, before: TensorDesc, after: TensorDesc) -> float:
        """Time of a memory-bound pass where nothing was measured."""
        return self._bench.guess(before.nbytes + after.nbytes)

    def sample(
        self, desc: TensorDesc, floats: tuple[float, float] = LayerPlugin.typical_floats
    ) -> Array:
        """Data for a tensor: floats of this mean and deviation, whole numbers 0 or 1, legal as
        indices."""
        mean, deviation = floats
        drawn = mean + deviation * self._floats if desc.dtype.is_float else self._bits
        return np.resize(drawn.astype(desc.dtype.numpy), desc.sizes)


def _text(desc: TensorDesc) -> str:
    text = f"{desc.dtype.value}[{'x'.join(map(str, desc.sizes))}]"
    if desc.format is not Format.LINEAR:
        text += f"/{desc.format.value}"
    if desc.strides is not None:
        text += f"/{'.'.join(map(str, desc.strides))}"
    return text + ("=" if desc.value is not None else "")


__all__ = ["Timer"]
