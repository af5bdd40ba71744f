"""Types, formats and tactics over the whole graph.

Each layer has candidates with a time; a tensor read in another type or format than it is written
in costs a conversion. Starting from each uniform storage, layers are revised one by one until
none can lower the total, and the cheapest result wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import NoReturn

from ...plugins import Format, PluginError
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise, Storage
from ..graph.naming import naming_layer
from .candidates import Candidate, Place, candidates, place_of
from .conversions import conversion_path
from .narrow_constants import NarrowConstants
from .timer import Timer

TIE = 0.03
"""Relative difference under which two times count as equal and priority decides."""

MAXIMUM_ROUNDS = 10


@dataclass(frozen=True)
class Option:
    """A candidate with its estimated seconds."""

    candidate: Candidate
    seconds: float

    def input_place(self, index: int) -> Place | None:
        """Where input `index` is read; None where it is absent."""
        desc = self.candidate.inputs[index]
        return None if desc is None else place_of(desc)

    def output_place(self, index: int) -> Place:
        """Where output `index` is written."""
        return place_of(self.candidate.outputs[index])


class Assignment:
    """The choice for every layer of one network."""

    def __init__(
        self, network: Network, storages: Sequence[Storage], concretise: Concretise,
        threads: int, timer: Timer, max_workspace_size: int | None = None,
        others: Sequence[Concretise] = (),
    ) -> None:
        self._network = network
        self._timer = timer
        self._storages = storages
        self.constants = NarrowConstants()
        """Narrow copies of weights that candidates were offered."""
        self._limit = max_workspace_size
        self._others = others
        self.accumulating: dict[Layer, list[Candidate]] = {}
        """Candidates that add into an input's buffer; they need decisions made later."""
        self.options: dict[Layer, list[Option]] = {}
        for layer in network.layers:
            with naming_layer(layer.name, layer.plugin, "choosing its tactic"):
                self.options[layer] = self._options(layer, concretise, threads)
        self._conversions: dict[tuple[int, Place, Place], float] = {}
        self._concretise = concretise
        self.choice: dict[Layer, Option] = {}

    def solve(self) -> dict[Layer, Option]:
        """The cheapest assignment found."""
        best: dict[Layer, Option] | None = None
        least = inf
        for storage in self._storages:
            self.choice = {
                layer: min(options, key=lambda o: (_foreign(o, storage), o.seconds))
                for layer, options in self.options.items()
            }
            total = self._improve()
            if total < least * (1 - 1e-9):
                best, least = dict(self.choice), total
        self.choice = best or {}
        return self.choice

    def _improve(self) -> float:
        for _ in range(MAXIMUM_ROUNDS):
            changed = False
            for layer, options in self.options.items():
                if len(options) < 2:
                    continue
                current = self.choice[layer]
                costs = []
                for option in options:
                    self.choice[layer] = option
                    costs.append((self._local_cost(layer), option))
                best = min(costs, key=lambda item: item[0])
                mine = next(cost for cost, option in costs if option is current)
                if best[0] < mine * (1 - 1e-9):
                    self.choice[layer] = best[1]
                    changed = True
                else:
                    self.choice[layer] = current
            if not changed:
                break
        return sum(option.seconds for option in self.choice.values()) + sum(
            self._conversion_cost(tensor) for tensor in self._network.tensors.values()
        )

    def _local_cost(self, layer: Layer) -> float:
        touched = {id(t): t for t in (*layer.present_inputs, *layer.outputs)}
        return self.choice[layer].seconds + sum(map(self._conversion_cost, touched.values()))

    def _conversion_cost(self, tensor: Tensor) -> float:
        if tensor.is_constant:
            return 0.0
        source = self._written(tensor)
        wanted = {
            self.choice[use].input_place(index)
            for use in dict.fromkeys(tensor.uses)
            for index, read in enumerate(use.inputs)
            if read is tensor
        }
        if tensor.is_output:
            wanted.add((tensor.dtype, Format.LINEAR))
        wanted.discard(source)
        return sum(
            self._conversion_seconds(tensor, source, target)
            for target in wanted if target is not None
        )  # fmt: skip

    def _written(self, tensor: Tensor) -> Place:
        producer = tensor.producer
        if producer is None:
            return (tensor.dtype, Format.LINEAR)
        return self.choice[producer].output_place(producer.outputs.index(tensor))

    def _conversion_seconds(self, tensor: Tensor, source: Place, target: Place) -> float:
        key = (id(tensor), source, target)
        if key not in self._conversions:
            desc = replace(tensor.desc, shape=self._concretise(tensor.shape), value=None)
            self._conversions[key] = sum(
                self._timer.conversion_seconds(desc, *step)
                for step in conversion_path(source, target)
            )
        return self._conversions[key]

    def _options(self, layer: Layer, concretise: Concretise, threads: int) -> list[Option]:
        found = candidates(
            layer, self._storages, concretise, threads, self._network.registry, self._limit,
            self._others, self.constants,
        )  # fmt: skip
        self.accumulating[layer] = [c for c in found if c.tactic.accumulates_into is not None]
        grouped: dict[tuple[object, ...], list[Candidate]] = {}
        for candidate in found:
            if candidate.tactic.accumulates_into is None:
                grouped.setdefault(candidate.places, []).append(candidate)
        if not grouped:
            self._refuse(layer)
        several = sum(map(len, grouped.values())) > 1
        options = [self._fastest(layer, group, several) for group in grouped.values()]
        usable = [option for option in options if option.seconds < inf]
        # Where no candidate runs on the timer's random data, real data may still do.
        return usable or [replace(o, seconds=self._rank(o.candidate)) for o in options]

    def _refuse(self, layer: Layer) -> NoReturn:
        described = ", ".join(str(t.desc) for t in layer.present_inputs)
        if self._limit is not None:
            raise PluginError(
                f"it has no way to run on {described} within max_workspace_size="
                f"{self._limit}; allow more, or None"
            )
        raise PluginError(
            f"it accepts no type and format for inputs {described}; see supportsFormat() "
            "and getTactics() of its plug-in"
        )

    def _fastest(self, layer: Layer, group: list[Candidate], timed: bool) -> Option:
        """The best of candidates with equal formats; infinite seconds when none can run."""
        preferred = sorted(group, key=lambda c: (-c.tactic.priority, c.kernel or "", c.tactic.name))
        if not timed:
            return Option(preferred[0], 0.0)
        known: list[Option] = []
        for candidate in preferred:
            least = min((option.seconds for option in known), default=inf)
            seconds = self._timer.seconds(layer, candidate, least)
            if seconds is not None:
                known.append(Option(candidate, seconds))
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
        touched = sum(d.nbytes for d in described)
        slower = 2.0 ** -min(candidate.tactic.priority, 0)
        return slower * (1 + worst / 10) * touched / 10e9


def _foreign(option: Option, storage: Storage) -> int:
    """How many activations lie otherwise than `storage` says."""
    described = [d for d in (*option.candidate.inputs, *option.candidate.outputs) if d]
    activations = [d for d in described if not d.is_constant]
    return sum(d.rank >= 3 and d.format is not storage.format for d in activations) + sum(
        d.dtype.is_float and d.dtype is not storage.floats for d in activations
    )
