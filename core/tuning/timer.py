"""Measuring one candidate on the CPU, on its own buffers."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
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
from ..graph import Layer
from ..passes.copying import copy_plugin, graph_attributes
from ..runtime.standalone import StandaloneLayer, prepare_layer
from ..runtime.weight_store import PackedWeights
from .candidates import Candidate, Place
from .timing_cache import TimingCache

BUDGET = 4e-3
"""Seconds spent on one candidate after its first run."""

MINIMUM_RUNS = 8

HOPELESS = 3.0
"""Times the best candidate's time at which measuring another one is given up."""


class Timer:
    """Times candidates through a cache; `measure=False` only looks them up."""

    def __init__(
        self, cache: TimingCache, threads: int, registry: Registry, measure: bool,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.cache = cache
        self.measure = measure
        self.measured = 0
        self._threads = threads
        self._registry = registry
        self._report = report
        self._unusable: set[str] = set()
        self._random = np.random.default_rng(0)

    def seconds(
        self, layer: Layer, candidate: Candidate, best_so_far: float = inf
    ) -> float | None:
        """The candidate's time; None when it is not known and may not be measured, infinite
        when it cannot run. One that is clearly slower than `best_so_far` is run only twice."""
        if not self.measure and not self.cache.seconds:
            return None
        key = self.key(layer.plugin, candidate, layer.epilogue)
        known = self.cache.seconds.get(key)
        if known is not None:
            return known
        if key in self._unusable:
            return inf
        if not self.measure or graph_attributes(layer.plugin):
            return None
        try:
            with self._prepare(layer, candidate) as prepared:
                best = _best_time(prepared, best_so_far * HOPELESS)
        except Exception as error:  # of whoever wrote the tactic: the others still run
            self._unusable.add(key)
            self._report(
                f"{layer.name}: {candidate.tactic.name} cannot run: {type(error).__name__}: {error}"
            )
            return inf
        self.cache.seconds[key] = float(f"{best:.3e}")
        self.measured += 1
        return self.cache.seconds[key]

    def key(self, plugin: LayerPlugin, candidate: Candidate, epilogue: Epilogue) -> str:
        """What a time depends on, readable but for the digest of attributes and epilogue."""
        rest = json.dumps([[to_plain(s.expression), s.operands] for s in epilogue.steps])
        state = hashlib.blake2b(plugin.serialize() + rest.encode(), digest_size=8).hexdigest()
        tensors = ",".join("-" if d is None else _text(d) for d in candidate.inputs)
        results = ",".join(map(_text, candidate.outputs))
        name = candidate.tactic.name
        if candidate.kernel:
            name = f"{candidate.kernel}:{name}"
        return (
            f"{plugin.type}/{plugin.version} {tensors} -> {results} {name} "
            f"threads={self._threads} {state}"
        )

    def conversion_seconds(
        self, desc: TensorDesc, role: str, source: Place, target: Place
    ) -> float:
        """Time to convert a tensor with the registered layer of this role."""
        before, after = (
            replace(desc, dtype=dtype, format=layout, value=None)
            for dtype, layout in (source, target)
        )
        if not self.measure and not self.cache.seconds:
            return _guess(before, after)
        plugin = self._registry.by_role(role)()
        layer = Layer(role, plugin, [])
        found = self.seconds(layer, Candidate((before,), (after,), plugin.tactic))
        return _guess(before, after) if found is None else found

    def _prepare(self, layer: Layer, candidate: Candidate) -> StandaloneLayer:
        arrays: list[Array | None] = []
        constants = []
        for index, desc in enumerate(candidate.inputs):
            if desc is None:
                arrays.append(None)
            elif desc.value is not None:
                constants.append(index)
                arrays.append(desc.value)
            else:
                arrays.append(self._sample(desc))
        kernel = None
        if candidate.kernel is not None:
            kernel = self._registry.get("kernels", candidate.kernel)()
        return prepare_layer(
            copy_plugin(layer.plugin), arrays, inputs=candidate.inputs,
            outputs=candidate.outputs, constants=constants,
            tactic=candidate.tactic, epilogue=layer.epilogue, threads=self._threads,
            kernel=kernel, packed=PackedWeights(),
        )  # fmt: skip

    def _sample(self, desc: TensorDesc) -> Array:
        dtype = desc.dtype.numpy
        if desc.dtype.is_float:
            return self._random.standard_normal(desc.sizes, np.float32).astype(dtype)
        return self._random.integers(0, 2, desc.sizes).astype(dtype)


def _best_time(prepared: StandaloneLayer, hopeless: float) -> float:
    """The fastest of several runs within the budget: the least disturbed one."""
    clock = time.perf_counter
    best = inf
    end = clock() + BUDGET
    runs = 0
    while runs < MINIMUM_RUNS or clock() < end:
        start = clock()
        prepared.recording.replay()
        best = min(best, clock() - start)
        runs += 1
        if runs == 2 and best > hopeless:
            break
    return best


def _guess(before: TensorDesc, after: TensorDesc) -> float:
    """Time of a memory-bound pass where nothing was measured: 10 GB/s and 2 microseconds."""
    return 2e-6 + (before.nbytes + after.nbytes) / 10e9


def _text(desc: TensorDesc) -> str:
    text = f"{desc.dtype.value}[{'x'.join(map(str, desc.sizes))}]"
    if desc.format is not Format.LINEAR:
        text += f"/{desc.format.value}"
    if desc.strides is not None:
        text += f"/{'.'.join(map(str, desc.strides))}"
    return text + ("=" if desc.value is not None else "")


__all__ = ["Timer"]
