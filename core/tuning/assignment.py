"""Types, formats and tactics over the whole graph.

Each layer has candidates with a time; a tensor read in another type or format than it is written
in costs a conversion. Starting from each uniform storage, layers are revised one by one until
none can lower the total, and the cheapest result wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...plugins import Format
from ..devices.target import Target
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise, Storage
from .candidates import Limits, Place
from .conversions import conversion_path
from .options import LayerOptions, Option
from .timer import Timer

LAUNCH = 1e-6
"""Seconds that a conversion must save beside its own: one more layer starts the team once more,
and for small tensors that is more than the times tell apart."""

MAXIMUM_ROUNDS = 10

Choice = dict[Layer, Option]


class Assignment:
    """The choice for every layer of one network."""

    def __init__(
        self, network: Network, storages: Sequence[Storage], concretise: Concretise,
        target: Target, timer: Timer, limits: Limits = Limits(),  # noqa: B008 - immutable
        others: Sequence[Concretise] = (),
    ) -> None:
        self._network = network
        self._storages = storages
        self._target = target
        self._timer = timer
        known = LayerOptions(network, storages, concretise, target, timer, limits, others)
        self.options = known.found
        self.accumulating = known.accumulating
        """Candidates that add into an input's buffer; they need decisions made later."""
        self.considered = known.considered
        """What each layer's choice was made among; see `LayerOptions`."""
        self.constants = known.constants
        """Narrow copies of weights that candidates were offered."""
        self._conversions: dict[tuple[int, Place, Place], float] = {}
        self._concretise = concretise
        self.choice: Choice = {}
        self.finalists: list[Choice] = []
        """What `solve` found from each of its starts, without repetitions, the cheapest first."""

    def solve(self) -> Choice:
        """The cheapest assignment found."""
        found: list[tuple[float, Choice]] = []
        for storage in self._storages:
            self.choice = {
                layer: min(options, key=lambda o: (_foreign(o, storage), o.seconds))
                for layer, options in self.options.items()
            }
            total = self._improve()
            if all(self.choice != other for _, other in found):
                found.append((total, dict(self.choice)))
        self.finalists = [choice for _, choice in sorted(found, key=lambda pair: pair[0])]
        self.choice = dict(self.finalists[0])
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
                self._timer.conversion_seconds(desc, *step) + LAUNCH
                for step in conversion_path(
                    desc, source, target, self._network.registry, self._target
                )
            )
        return self._conversions[key]


def _foreign(option: Option, storage: Storage) -> int:
    """How many activations lie otherwise than `storage` says."""
    described = [d for d in (*option.candidate.inputs, *option.candidate.outputs) if d]
    activations = [d for d in described if not d.is_constant]
    return sum(d.rank >= 3 and d.format is not storage.format for d in activations) + sum(
        d.dtype.is_float and d.dtype is not storage.floats for d in activations
    )
