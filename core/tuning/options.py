"""How each layer of a network can run, and how long each way takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import NoReturn

from ...plugins import PluginError
from ..devices.target import Target
from ..graph import Layer, Network
from ..graph.build_descs import Concretise, Storage
from ..graph.naming import naming_layer
from .candidates import Candidate, Limits, Place, candidates, place_of
from .narrow_constants import NarrowConstants
from .shared_memory import share_left
from .timer import UNTIMED_RATE, Timer

TIE = 0.03
"""Relative difference under which two times count as equal and priority decides."""

FOREIGN = 2.0
"""How many times slower than in another format a candidate may be and still be of interest, since
conversions cost too."""


@dataclass(frozen=True)
class Option:
    """A candidate with its estimated seconds."""

    candidate: Candidate
    seconds: float
    is_measured: bool = False

    def input_place(self, index: int) -> Place | None:
        """Where input `index` is read; None where it is absent."""
        desc = self.candidate.inputs[index]
        return None if desc is None else place_of(desc)

    def output_place(self, index: int) -> Place:
        """Where output `index` is written."""
        return place_of(self.candidate.outputs[index])


class LayerOptions:
    """The options of every layer of one network: the best candidate for each set of formats.

    Raises PluginError for a layer that has none.
    """

    def __init__(
        self, network: Network, storages: Sequence[Storage], concretise: Concretise,
        target: Target, timer: Timer, limits: Limits = Limits(),  # noqa: B008 - immutable
        others: Sequence[Concretise] = (),
    ) -> None:  # fmt: skip
        self._network = network
        self._timer = timer
        self._storages = storages
        self.constants = NarrowConstants()
        """Narrow copies of weights that candidates were offered."""
        self._limits = limits
        self.accumulating: dict[Layer, list[Candidate]] = {}
        """Candidates that add into an input's buffer; they need decisions made later."""
        self.found: dict[Layer, list[Option]] = {}
        """By layer, in execution order."""
        self.considered: dict[Layer, list[tuple[Candidate, float | None]]] = {}
        """What each layer's choice was made among, with seconds where they were measured;
        infinite ones where the candidate could not run."""
        found: dict[Layer, list[Candidate]] = {}

        def to_be_measured() -> Iterator[tuple[Layer, Sequence[Candidate]]]:
            for layer in network.layers:
                with naming_layer(layer.name, layer.plugin, "asking for its tactics"):
                    every = candidates(
                        layer, storages, concretise, target, network.registry, limits, others,
                        self.constants,
                    )  # fmt: skip
                    found[layer] = timer.worth_timing(layer, every)
                if len(found[layer]) > 1:
                    yield layer, [
                        c for c in found[layer] if timer.is_to_be_measured(layer, c) is not None
                    ]

        asked = to_be_measured()
        timer.compile_ahead(asked)  # while more are being found
        for _ in asked:
            pass
        self._expect(found)
        self._measure(found)
        if timer.measured:
            self._look_again(found)
            self._measure(found)
        self.found = {layer: self.found[layer] for layer in network.layers}

    def _measure(self, found: Mapping[Layer, Sequence[Candidate]]) -> None:
        """The options of every layer, by times that are known or measured now."""
        for layer in self._order(found):
            with naming_layer(layer.name, layer.plugin, "choosing its tactic"):
                self.found[layer] = self._options(layer, found[layer])

    def _look_again(self, found: Mapping[Layer, Sequence[Candidate]]) -> None:
        """Measure what seemed fast once more: whatever disturbed the first time may be over."""
        promising: dict[str, tuple[Layer, Candidate, float]] = {}
        for layer in self._order(found):
            times = [(s, c) for c, s in self.considered[layer] if s is not None and s < inf]
            best = min((seconds for seconds, _ in times), default=inf)
            limit = best * self._timer.promising
            near = [candidate for seconds, candidate in times if seconds <= limit]
            for candidate in near if len(near) > 1 else ():
                key = self._timer.measured_once(layer, candidate)
                if key is not None:
                    promising.setdefault(key, (layer, candidate, best))
        self._timer.meter.expect(len(promising))
        for key, (layer, candidate, best) in promising.items():
            self._timer.measure_again(key, layer, candidate, best)

    def _expect(self, found: Mapping[Layer, Sequence[Candidate]]) -> None:
        """Tell the timer's meter what will be measured, apart from conversions."""
        keys = {
            self._timer.is_to_be_measured(layer, candidate)
            for layer, offered in found.items() if len(offered) > 1
            for candidate in offered
            if candidate.tactic.accumulates_into is None and share_left(layer, candidate)
        }  # fmt: skip
        self._timer.meter.expect(len(keys - {None}))

    def _order(self, found: Mapping[Layer, Sequence[Candidate]]) -> list[Layer]:
        """The layers in the order of measuring: where time is limited, large ones first."""
        layers = self._network.layers
        if self._timer.meter.limit is None:
            return layers
        touched = {layer: max(map(_touched, found[layer]), default=0) for layer in layers}
        return sorted(layers, key=touched.__getitem__, reverse=True)

    def _options(self, layer: Layer, found: Sequence[Candidate]) -> list[Option]:
        self.considered[layer] = []
        self.accumulating[layer] = [c for c in found if c.tactic.accumulates_into is not None]
        grouped: dict[tuple[object, ...], list[Candidate]] = {}
        for candidate in found:
            if candidate.tactic.accumulates_into is None:
                grouped.setdefault(candidate.places, []).append(candidate)
        if not grouped:
            self._refuse(layer)
        several = sum(map(len, grouped.values())) > 1
        options: list[Option] = []
        for group in grouped.values():
            best = min((o.seconds for o in options if o.is_measured), default=inf)
            left = share_left(layer, group[0])
            if several and not left and not self._timer.knows_nothing:
                self.considered[layer].append((group[0], 0.0))
                options.append(Option(group[0], 0.0, is_measured=True))
                continue
            found_best = self._fastest(layer, group, several, best * FOREIGN)
            options.append(replace(found_best, seconds=found_best.seconds * left))
        # A guess cannot be compared with a measured time.
        if any(option.is_measured and option.seconds < inf for option in options):
            options = [option for option in options if option.is_measured]
        usable = [option for option in options if option.seconds < inf]
        # Where no candidate runs on the timer's random data, real data may still do.
        return usable or [replace(o, seconds=self._rank(o.candidate)) for o in options]

    def _refuse(self, layer: Layer) -> NoReturn:
        described = ", ".join(str(t.desc) for t in layer.present_inputs)
        if self._limits.workspace is not None:
            raise PluginError(
                f"it has no way to run on {described} within max_workspace_size="
                f"{self._limits.workspace}; allow more, or None"
            )
        raise PluginError(
            f"it accepts no type and format for inputs {described}; see supportsFormat() "
            "and getTactics() of its plug-in"
        )

    def _fastest(
        self, layer: Layer, group: list[Candidate], timed: bool, elsewhere: float
    ) -> Option:
        """The best of candidates with equal formats; infinite seconds when none can run. One
        slower than `elsewhere` will not be chosen."""
        preferred = sorted(group, key=lambda c: (-c.tactic.priority, c.kernel or "", c.tactic.name))
        if not timed:
            self.considered[layer].append((preferred[0], None))
            return Option(preferred[0], 0.0)
        known: list[Option] = []
        for candidate in preferred:
            least = min((option.seconds for option in known), default=inf)
            seconds = self._timer.seconds(layer, candidate, min(least, elsewhere))
            self.considered[layer].append((candidate, seconds))
            if seconds is not None:
                known.append(Option(candidate, seconds, is_measured=True))
        if not known:
            return Option(preferred[0], self._rank(preferred[0]))
        least = min(option.seconds for option in known)
        # The first within the tie, by priority and name.
        return next(option for option in known if option.seconds <= least * (1 + TIE))

    def _rank(self, candidate: Candidate) -> float:
        """Without measurements the bytes touched decide, the device's order of formats, and
        tactics' priorities: each step below 0 counts as twice as slow."""
        formats = dict.fromkeys(storage.format for storage in self._storages)
        rank = {layout: k for k, layout in enumerate(formats)}
        described = [d for d in (*candidate.inputs, *candidate.outputs) if d is not None]
        worst = max((rank[d.format] for d in described if d.rank >= 3), default=0)
        slower = 2.0 ** -min(candidate.tactic.priority, 0)
        return slower * (1 + worst / 10) * _touched(candidate) / UNTIMED_RATE


def _touched(candidate: Candidate) -> int:
    """Bytes of all inputs and outputs."""
    return sum(d.nbytes for d in (*candidate.inputs, *candidate.outputs) if d is not None)
