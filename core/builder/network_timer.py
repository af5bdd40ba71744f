"""The time of a small network as a whole, through the timing cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

import numpy as np

from ...plugins import Array, PlugrtError
from ..engine.engine import Engine
from ..engine.plan import EngineInfo
from ..graph import Network, Tensor
from ..graph.build_descs import Concretise
from ..runtime.planned import PlannedNetwork
from ..tuning.candidates import chosen_candidate
from ..tuning.timer import Timer

BUDGET = 10e-3
"""Seconds spent on one network after its first run."""

MINIMUM_RUNS = 8

SEPARATOR = " | "
"""Between the layers in a key."""


class NetworkTimer:
    """Plans a network with `plan`, which may change it, and runs it on random inputs."""

    def __init__(
        self, plan: Callable[[Network], PlannedNetwork], timer: Timer, threads: int,
        concretise: Concretise,
    ) -> None:
        self._plan = plan
        self._timer = timer
        self._cache = timer.cache
        self._threads = threads
        self._concretise = concretise

    def seconds(self, network: Network) -> float | None:
        """The fastest of several runs; None where it cannot be planned or run by itself."""
        try:
            planned = self._plan(network)
            key = self._key(planned)
            known = self._cache.seconds.get(key)
            if known is None:
                known = self._cache.seconds[key] = float(f"{self._measure(planned):.3e}")
        except PlugrtError:  # a part may lack what makes the whole possible
            return None
        return known

    def _key(self, planned: PlannedNetwork) -> str:
        """What the network's layers are, each as the timer knows it."""
        network = planned.network
        layers = [
            self._timer.key(x.plugin, chosen_candidate(x, self._concretise), x.epilogue)
            for x in network.layers
        ]
        return SEPARATOR.join([f"network {network.name} threads={self._threads}", *layers])

    def _measure(self, planned: PlannedNetwork) -> float:
        draw = np.random.default_rng(0)
        inputs = {t.name: self._sample(t, draw) for t in planned.network.inputs}
        clock = time.perf_counter
        info = EngineInfo(threads=self._threads)
        with Engine(planned, info) as engine, engine.create_context() as context:
            outputs = context.execute(inputs)
            best, runs, end = inf, 0, clock() + BUDGET
            while runs < MINIMUM_RUNS or clock() < end:
                start = clock()
                context.execute(inputs, outputs)
                best = min(best, clock() - start)
                runs += 1
        return best

    def _sample(self, tensor: Tensor, draw: np.random.Generator) -> Array:
        shape = self._concretise(tensor.shape)
        if tensor.dtype.is_float:
            return draw.standard_normal(shape, np.float32).astype(tensor.dtype.numpy)
        return draw.integers(0, 2, shape).astype(tensor.dtype.numpy)
