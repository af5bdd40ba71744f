"""Formats and tactics over the whole graph.

Each layer has candidates with a time; a tensor read in another format than it is written in
costs a reformat. Starting from each uniform format, layers are revised one by one until none
can lower the total, and the cheapest result wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import NoReturn

from ...plugins import Format, PluginError
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise
from ..graph.naming import naming_layer
from .candidates import Candidate, candidates
from .timer import Timer

TIE = 0.03
"""Relative difference under which two times count as equal and priority decides."""

MAXIMUM_ROUNDS = 10


@dataclass(frozen=True)
class Option:
    """A candidate with its estimated seconds."""

    candidate: Candidate
    seconds: float

    def input_format(self, index: int) -> Format:
        """Format in which input `index` is read."""
        desc = self.candidate.inputs[index]
        return Format.LINEAR if desc is None else desc.format

    def output_format(self, index: int) -> Format:
        """Format in which output `index` is written."""
        return self.candidate.outputs[index].format


class Assignment:
    """The choice for every layer of one network."""

    def __init__(
        self, network: Network, formats: Sequence[Format], concretise: Concretise,
        threads: int, timer: Timer, max_workspace_size: int | None = None,
        others: Sequence[Concretise] = (),
    ) -> None:
        self._network = network
        self._timer = timer
        self._formats = formats
        self._limit = max_workspace_size
        self._others = others
        self.accumulating: dict[Layer, list[Candidate]] = {}
        """Candidates that add into an input's buffer; they need decisions made later."""
        self.options: dict[Layer, list[Option]] = {}
        for layer in network.layers:
            with naming_layer(layer.name, layer.plugin, "choosing its tactic"):
                self.options[layer] = self._options(layer, concretise, threads)
        self._reformat: dict[tuple[int, Format, Format], float] = {}
        self._concretise = concretise
        self.choice: dict[Layer, Option] = {}

    def solve(self) -> dict[Layer, Option]:
        """The cheapest assignment found."""
        best: dict[Layer, Option] | None = None
        least = inf
        for layout in self._formats:
            self.choice = {
                layer: min(options, key=lambda o: (not _uniform(o, layout), o.seconds))
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
            self._reformat_cost(tensor) for tensor in self._network.tensors.values()
        )

    def _local_cost(self, layer: Layer) -> float:
        touched = {id(t): t for t in (*layer.present_inputs, *layer.outputs)}
        return self.choice[layer].seconds + sum(map(self._reformat_cost, touched.values()))

    def _reformat_cost(self, tensor: Tensor) -> float:
        if tensor.is_constant:
            return 0.0
        source = self._written(tensor)
        wanted = {
            self.choice[use].input_format(index)
            for use in dict.fromkeys(tensor.uses)
            for index, read in enumerate(use.inputs)
            if read is tensor
        }
        if tensor.is_output:
            wanted.add(Format.LINEAR)
        wanted.discard(source)
        return sum(self._reformat_seconds(tensor, source, target) for target in wanted)

    def _written(self, tensor: Tensor) -> Format:
        producer = tensor.producer
        if producer is None:
            return Format.LINEAR
        return self.choice[producer].output_format(producer.outputs.index(tensor))

    def _reformat_seconds(self, tensor: Tensor, source: Format, target: Format) -> float:
        key = (id(tensor), source, target)
        if key not in self._reformat:
            desc = replace(
                tensor.desc, shape=self._concretise(tensor.shape), format=source, value=None
            )
            self._reformat[key] = self._timer.reformat_seconds(desc, target)
        return self._reformat[key]

    def _options(self, layer: Layer, concretise: Concretise, threads: int) -> list[Option]:
        found = candidates(
            layer, self._formats, concretise, threads, self._network.registry, self._limit,
            self._others,
        )  # fmt: skip
        self.accumulating[layer] = [c for c in found if c.tactic.accumulates_into is not None]
        grouped: dict[tuple[object, ...], list[Candidate]] = {}
        for candidate in found:
            if candidate.tactic.accumulates_into is None:
                grouped.setdefault(candidate.layouts, []).append(candidate)
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
        rank = {layout: k for k, layout in enumerate(self._formats)}
        described = [d for d in (*candidate.inputs, *candidate.outputs) if d is not None]
        worst = max((rank[d.format] for d in described if d.rank >= 3), default=0)
        touched = sum(d.nbytes for d in described)
        slower = 2.0 ** -min(candidate.tactic.priority, 0)
        return slower * (1 + worst / 10) * touched / 10e9


def _uniform(option: Option, layout: Format) -> bool:
    described = [d for d in (*option.candidate.inputs, *option.candidate.outputs) if d]
    return all(d.format is layout for d in described if d.rank >= 3 and not d.is_constant)
