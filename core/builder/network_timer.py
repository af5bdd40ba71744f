"""The times of two small networks, run in turns, through the timing cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from math import ceil, floor, sqrt

from ...plugins import PlugrtError
from ..devices.cpu.cache_state import CacheState
from ..devices.target import Target
from ..graph import Network
from ..graph.build_descs import Concretise, Storage, build_desc
from ..runtime.planned import PlannedNetwork
from ..tuning.candidates import chosen_candidate
from ..tuning.timer import Timer
from .trial_engine import engine_on

GAIN = 0.03
"""A proposal must be faster by so much to be worth another form of the network."""

LEAST_ROUNDS = 9
SECONDS = 0.3
"""Rounds go on until it is clear whether a proposal gains as much, or this time is over."""

QUANTILE = 0.25

SEPARATOR = " | "
"""Between the layers in a key."""

MOST_NAMED = 24
"""The layers of larger networks are told by a digest."""


class NetworkTimer:
    """Plans networks with `plan`, which may change them, and runs them on random inputs.

    Times are known, kept and counted by `timer`, whose time limit holds here too. `sizes` are
    those of symbols in the inputs of networks that are given whole.
    """

    def __init__(
        self, plan: Callable[[Network], PlannedNetwork], timer: Timer, target: Target,
        concretise: Concretise, sizes: Mapping[str, int] | None = None,
    ) -> None:
        self._plan = plan
        self._timer = timer
        self._target = target
        self._concretise = concretise
        self._sizes = dict(sizes or {})

    def seconds(self, present: Network, proposed: Network) -> tuple[float, float] | None:
        """One run of what is there, and one of what is proposed: the latter's time is the end
        of its interval, so that in doubt what is there stays.

        None where one of them cannot be planned or run by itself, where nothing may be
        measured, and when the time for it is over.
        """
        if any(not self._target.has_kernels_for(layer.plugin) for layer in proposed.layers):
            return None  # the host would run it, which is slower than any form of the device's
        try:
            planned = [self._plan(network) for network in (present, proposed)]
            keys = [self._key(one) for one in planned]
            before, after = (self._timer.known(key) for key in keys)
            if before is not None and after is not None:
                return before, after
            ratio = self._measure(planned)
        except PlugrtError:  # a part may lack what makes the whole possible
            return None
        if ratio is None:
            for key in keys:
                self._timer.skip(key)
            return None
        if before is None:
            now = ratio[0] if after is None else after / ratio[1]
            before = self._timer.remember(keys[0], now)
        if after is None:
            after = self._timer.remember(keys[1], before * ratio[1])
        return before, after

    def _key(self, planned: PlannedNetwork) -> str:
        """What the network's layers are, each as the timer knows it."""
        network = planned.network
        layers = [
            self._timer.key(x.plugin, chosen_candidate(x, self._concretise), x.epilogue)
            for x in network.layers
        ]
        name = f"network {network.name} threads={self._target.threads}"
        if len(layers) > MOST_NAMED:
            state = hashlib.blake2b(SEPARATOR.join(layers).encode(), digest_size=16)
            return f"{name} of {len(layers)} layers {state.hexdigest()}"
        return SEPARATOR.join([name, *layers])

    def _measure(self, planned: Sequence[PlannedNetwork]) -> tuple[float, float] | None:
        """Seconds of the first network, and the greatest likely ratio of the second one's time
        to it; None when the time is over."""
        timer = self._timer
        if not timer.measures or timer.meter.is_over:
            return None
        samples: tuple[list[float], list[float]] = ([], [])
        with ExitStack() as stack:
            runs = [self._stopwatch(one, stack) for one in planned]
            end = time.perf_counter() + SECONDS
            while len(samples[0]) < LEAST_ROUNDS or (
                time.perf_counter() < end and _is_open(*samples)
            ):
                if timer.meter.is_over:
                    return None
                for run, found in zip(runs, samples, strict=True):
                    found.append(run())
        for _ in planned:
            timer.meter.advance()
        before, after = (interval(found) for found in samples)
        return before[0], after[1] / before[0]

    def _stopwatch(self, planned: PlannedNetwork, stack: ExitStack) -> Callable[[], float]:
        """A function that runs the network once, as a part of the whole one, and returns
        seconds."""
        engine = stack.enter_context(engine_on(self._target, planned))
        watch = engine.stopwatch(self._sizes, self._timer.sample)
        if watch is not None:
            return watch
        context = stack.enter_context(engine.create_context())
        feeds = {
            tensor.name: self._timer.sample(
                build_desc(tensor.desc, Storage(), self._concretise)
            )
            for tensor in planned.network.inputs
        }
        outputs = context.execute(feeds)
        state = CacheState(self._timer.where, engine.weights, list(feeds.values()))

        def run() -> float:
            state.prepare(self._target.threads)
            start = time.perf_counter()
            context.execute(feeds, outputs)
            return time.perf_counter() - start

        return run


def interval(samples: Sequence[float]) -> tuple[float, float]:
    """Between which two samples their lower quartile lies, 98 times in a hundred.

    The lower quartile, since others only ever make a run slower: the median is that of an
    undisturbed run only where less than half of them are disturbed.
    """
    ordered = sorted(samples)
    middle = QUANTILE * (len(ordered) - 1)
    spread = 2.33 * sqrt(len(ordered) * QUANTILE * (1 - QUANTILE))
    first, last = floor(middle - spread), ceil(middle + spread)
    return ordered[max(first, 0)], ordered[min(last, len(ordered) - 1)]


def _is_open(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether the proposal may, and may not, be worth it."""
    (least_before, most_before), (least_after, most_after) = interval(before), interval(after)
    return (
        most_after >= least_before * (1 - GAIN) and least_after < most_before * (1 - GAIN)
    )
