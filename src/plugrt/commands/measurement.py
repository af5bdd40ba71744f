"""Measuring an engine: random inputs, repeated calls, quantiles."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import plugrt
from plugrt import Engine, ExecutionContext
from plugrt.plugins import Array, TensorDesc
from plugrt.plugins.dims import evaluate_shape

LEAST_RUNS = 5
WARM_UP_RUNS = 3


@dataclass(frozen=True)
class Latency:
    """Seconds of repeated calls."""

    runs: int
    seconds: float
    median: float
    p10: float
    p90: float
    minimum: float


def random_inputs(
    inputs: Mapping[str, TensorDesc], sizes: Mapping[str, int], seed: int
) -> dict[str, Array]:
    """Arrays for every input: floats in [0, 1), whole numbers and booleans 0 or 1, so that
    they are legal indices too."""
    generator = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for name, desc in inputs.items():
        shape = evaluate_shape(desc.shape, sizes)
        drawn = (
            generator.random(shape, np.float32)
            if desc.dtype.is_float
            else generator.integers(0, 2, shape)
        )
        arrays[name] = np.asarray(drawn).astype(desc.dtype.numpy)
    return arrays


def measure(
    context: ExecutionContext, inputs: Mapping[str, Array], seconds: float
) -> Latency:
    """Call the context for about `seconds`, after warming up. Outputs are written into the
    same arrays every time where their sizes do not depend on the data."""
    results = context.execute(inputs)
    recording = context.recording({name: array.shape for name, array in inputs.items()})
    outputs = results if recording.is_simple else None
    for _ in range(WARM_UP_RUNS):
        context.execute(inputs, outputs)
    samples: list[float] = []
    start = now = time.perf_counter()
    while now - start < seconds or len(samples) < LEAST_RUNS:
        context.execute(inputs, outputs)
        after = time.perf_counter()
        samples.append(after - now)
        now = after
    low, median, high = np.quantile(samples, (0.1, 0.5, 0.9)).tolist()
    return Latency(len(samples), now - start, median, low, high, min(samples))


@dataclass(frozen=True)
class PoolRate:
    """Calls of a throughput pool."""

    contexts: int
    threads: int
    runs: int
    seconds: float


def measure_pool(
    engine: Engine, inputs: Mapping[str, Array], seconds: float, contexts: int | None, threads: int
) -> PoolRate:
    """Keep a throughput pool busy for about `seconds`, after warming every context up."""
    with plugrt.ThroughputPool(engine, contexts, threads) as pool:
        for _ in range(WARM_UP_RUNS):
            for future in [pool.submit(inputs) for _ in range(pool.contexts)]:
                future.result()
        start = time.perf_counter()
        calls = iter(lambda: time.perf_counter() - start < seconds, False)
        runs = sum(1 for _ in pool.map(inputs for _ in calls))
        runs += sum(1 for _ in pool.map([inputs] * max(LEAST_RUNS - runs, 0)))
        return PoolRate(pool.contexts, threads, runs, time.perf_counter() - start)
