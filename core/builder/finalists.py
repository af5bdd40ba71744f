"""The last round of thorough tuning: whole networks, timed as they run.

Times of single layers leave out what layers do to each other. So the cheapest assignments that
were found, and then neighbours of the best one, run against each other in turns.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import inf
from statistics import median

from ...plugins import TensorDesc
from ..devices.target import Target
from ..explanation import Note
from ..graph import Layer
from ..runtime.planned import PlannedNetwork
from ..tuning.assignment import Assignment, Choice
from ..tuning.options import Option
from ..tuning.timer import Timer
from .trial_engine import engine_on

MAXIMUM_FINALISTS = 4
MAXIMUM_NEIGHBOURS = 12

NEAR = 0.10
"""How much slower a layer's other tactic may seem and still be tried in the network."""

GAIN = 0.01
"""What a neighbour must gain: less is noise."""

LEAST_ROUNDS = 7
SECONDS = 0.5
"""Each network is run so often and so long at least."""


@dataclass
class Finalists:
    """Chooses among assignments of one network by running them. `complete` finishes a copy of the
    network by a choice for its layers; `inputs` are concrete, at `sizes` of their symbols."""

    assignment: Assignment
    timer: Timer
    complete: Callable[[Choice], PlannedNetwork]
    inputs: Mapping[str, TensorDesc]
    sizes: Mapping[str, int]
    target: Target
    report: Callable[[str], None]
    _has_own_clock: bool = False

    def best(self) -> Choice:
        """The choice that runs fastest; the one that seems cheapest where none can be run."""
        choices = self.assignment.finalists[:MAXIMUM_FINALISTS]
        times = self._times(choices)
        if len(choices) > 1:
            told = ", ".join(f"{seconds * 1e3:.3f}" for seconds in times)
            text = f"whole networks took {told} ms, in the order of their estimates"
            self.report(Note("tuning", "whole networks", text, seconds=times))
        least = min(times)
        best = choices[times.index(least)]
        for layers, other in self._neighbours(best):
            challenger = {**best, **dict.fromkeys(layers, other)}
            now, then = self._times([best, challenger])
            if then < now * (1 - GAIN):
                text = (
                    f"{other.candidate.tactic.name} is faster in the network, which takes "
                    f"{then * 1e3:.3f} in place of {now * 1e3:.3f} ms"
                )
                for layer in layers:
                    self.report(Note(layer.name, "in the network", text, seconds=[now, then]))
                best = challenger
        return best

    def _neighbours(self, choice: Choice) -> list[tuple[list[Layer], Option]]:
        """Equal layers with another tactic that seemed nearly as fast; promising ones first."""
        groups: dict[str, tuple[list[Layer], Option]] = {}
        for layer, option in choice.items():
            others = [
                Option(candidate, seconds, is_measured=True)
                for candidate, seconds in self.assignment.considered[layer]
                if seconds is not None and candidate != option.candidate
                and candidate.places == option.candidate.places
                and seconds <= option.seconds * (1 + NEAR)
            ]  # fmt: skip
            if others:
                key = self.timer.key(layer.plugin, option.candidate, layer.epilogue)
                other = min(others, key=lambda o: o.seconds)
                groups.setdefault(key, ([], other))[0].append(layer)
        found = sorted(groups.values(), key=lambda g: -len(g[0]) * g[1].seconds)
        return found[:MAXIMUM_NEIGHBOURS]

    # ---- times ----------------------------------------------------------------------------

    def _times(self, choices: Sequence[Choice]) -> list[float]:
        """Seconds of whole networks, from the cache or by running those that are unknown beside
        the first, whose time gives the scale. Infinite for one that cannot run."""
        keys = [self._key(choice) for choice in choices]
        known = [self.timer.known(key) for key in keys]
        if self.timer.meter.is_over or all(seconds is not None for seconds in known):
            return [inf if seconds is None else seconds for seconds in known]
        try:
            measured = self._run(choices)
        except Exception as error:  # random data may be nothing for this network
            text = f"whole networks cannot be compared: {error}"
            self.report(Note("tuning", "whole networks", text))
            return [0.0, *[inf] * (len(choices) - 1)]
        scale = 1.0 if known[0] is None else known[0] / measured[0]
        return [
            self.timer.remember(key, seconds * scale) if before is None else before
            for key, seconds, before in zip(keys, measured, known, strict=True)
        ]

    def _key(self, choice: Choice) -> str:
        state = hashlib.blake2b(digest_size=16)
        for layer, option in choice.items():
            state.update(self.timer.key(layer.plugin, option.candidate, layer.epilogue).encode())
            state.update("".join(f" {t.name}" for t in layer.present_inputs).encode())
        return f"network {state.hexdigest()} threads={self.target.threads}"

    def _run(self, choices: Sequence[Choice]) -> list[float]:
        samples: list[list[float]] = [[] for _ in choices]
        with ExitStack() as stack:
            runs = [self._stopwatch(choice, stack) for choice in choices]
            start = time.perf_counter()
            least = 0.0 if self._has_own_clock else SECONDS * len(choices)
            while len(samples[0]) < LEAST_ROUNDS or time.perf_counter() - start < least:
                for run, found in zip(runs, samples, strict=True):
                    found.append(run())
                self.timer.meter.advance()
        # Ratios within a round: what else happens on the machine meets all networks alike.
        first = median(samples[0])
        return [
            first * median(mine / beside for mine, beside in zip(found, samples[0], strict=True))
            for found in samples
        ]

    def _stopwatch(self, choice: Choice, stack: ExitStack) -> Callable[[], float]:
        """What runs the network by a choice once, and returns seconds."""
        engine = stack.enter_context(engine_on(self.target, self.complete(choice)))
        watch = engine.stopwatch(self.sizes, self.timer.sample)
        self._has_own_clock = watch is not None
        if watch is not None:
            return watch
        feeds = {name: self.timer.sample(desc) for name, desc in self.inputs.items()}
        context = stack.enter_context(engine.create_context())
        outputs = context.execute(feeds)

        def run() -> float:
            before = time.perf_counter()
            context.execute(feeds, outputs)
            return time.perf_counter() - before

        return run
