"""A layer with a pointwise one as its epilogue, timed against the two of them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

from ...plugin_registry import Registry
from ...plugins import EpilogueStep
from ..devices.target import Target
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise, Storage
from ..tuning.candidates import Candidate, Limits, Place, candidates, place_of
from ..tuning.conversions import conversion_path
from ..tuning.narrow_constants import NarrowConstants
from ..tuning.timer import Timer
from .copying import copy_plugin, graph_attributes

GAIN = 0.1
"""Two layers must be faster than one by so much: apart they also meet what other layers have done
to the caches between, which times of single layers do not tell."""


class Region(NamedTuple):
    """A layer and the pointwise layer behind it, as a step of its epilogue."""

    layer: Layer
    consumer: Layer
    step: EpilogueStep
    operands: list[Tensor]


Places = tuple["Place | None", Place]
"""Where a region reads its first input, and where it writes."""


class _Run(NamedTuple):
    """One way to run a region, and what was measured for it."""

    seconds: float
    places: Places
    measured: tuple[tuple[Layer, Candidate], ...]


class Comparison(NamedTuple):
    """Seconds of both forms, and the ways to run that the epilogue rules out."""

    fused: float
    apart: float
    lost: tuple[str, ...]

    @property
    def is_better_apart(self) -> bool:
        """Whether fusing loses, by more than times of single layers can be wrong."""
        return self.apart < self.fused * (1 - GAIN)


@dataclass
class FusionTiming:
    """Compares regions by the times of their layers.

    Fusing saves a pass over memory; it loses where what takes the epilogue is slower than what
    does not by more than this. So a region is timed where the epilogue rules some way out; by a
    thorough timer always.
    """

    timer: Timer
    storages: Sequence[Storage]
    concretise: Concretise
    target: Target
    registry: Registry
    limits: Limits

    def compare(self, region: Region) -> Comparison | None:
        """The times; None where nothing is lost by fusing, or where they cannot be known."""
        layer, consumer = region.layer, region.consumer
        if self.timer.knows_nothing or graph_attributes(layer.plugin):
            return None
        tensors = (*layer.present_inputs, *region.operands, layer.output, consumer.output)
        if any(tensor.quantization is not None for tensor in tensors):
            return None  # what runs in 8 bits is decided later
        whole = self._part(region, is_fused=True)
        network, bare = self._part(region, is_fused=False)
        fused, apart = self._offers(*whole), self._offers(network, bare)
        lost = set(map(_way, apart)) - set(map(_way, fused))
        if not fused or not apart or not (lost or self.timer.is_thorough):
            return None
        if not self.timer.is_thorough:  # the other ways take as long, and then the pass
            apart = [candidate for candidate in apart if _way(candidate) in lost]
        reader = self._reader(network, bare, region)
        tail = self._offers(network, reader)
        pairs = ((fused, whole[1]), (apart, bare), (tail, reader))
        self.timer.meter.expect(sum(len(self._unknown(*pair)) for pair in pairs))
        self.timer.compile_ahead((layer, offered) for offered, layer in pairs)

        def runs() -> tuple[list[_Run], list[_Run]]:
            return self._fused(whole[1], fused), self._apart(bare, apart, reader, tail)

        together, separately = runs()
        if not together or not separately:
            return None
        for found in (together, separately):
            self._look_again(found)  # now, so that a second build decides by the same times
        together, separately = runs()
        usual = min(together, key=lambda run: run.seconds).places
        times = [self._least(found, region, usual) for found in (together, separately)]
        names = {way[0] for way in lost} - {candidate.tactic.name for candidate in fused}
        return Comparison(times[0], times[1], tuple(sorted(names)))

    # ---- the two forms as networks --------------------------------------------------------

    def _part(self, region: Region, is_fused: bool) -> tuple[Network, Layer]:
        """The layer, with or without the step, on inputs of its own."""
        layer = region.layer
        network = Network("region", self.registry)
        result = region.consumer.output if is_fused else layer.output
        operands = region.operands if is_fused else []
        known: dict[int, Tensor] = {}
        inputs = [self._input(network, t, known) for t in (*layer.inputs, *operands)]
        shape = self.concretise(result.shape)
        desc = replace(result.desc, shape=shape, value=None)
        plugin = copy_plugin(layer.plugin)
        twin = network.insert_layer(0, plugin, inputs, layer.name, [desc])
        twin.epilogue = layer.epilogue.then(region.step) if is_fused else layer.epilogue
        network.mark_output(twin.output)
        return network, twin

    def _reader(self, network: Network, bare: Layer, region: Region) -> Layer:
        """The pointwise layer behind the layer without it."""
        consumer = region.consumer
        known = {id(region.layer.output): bare.output}
        inputs = [self._input(network, tensor, known) for tensor in consumer.inputs]
        desc = replace(consumer.output.desc, shape=self.concretise(consumer.output.shape))
        plugin = copy_plugin(consumer.plugin)
        return network.insert_layer(1, plugin, inputs, consumer.name, [replace(desc, value=None)])

    def _input(
        self, network: Network, outer: Tensor | None, known: dict[int, Tensor]
    ) -> Tensor | None:
        if outer is None:
            return None
        if id(outer) not in known:
            name = network.unique_name(outer.name)
            known[id(outer)] = (
                network.add_constant(name, outer.value)
                if outer.is_constant and outer.value is not None
                else network.add_input(name, outer.dtype, self.concretise(outer.shape))
            )
        return known[id(outer)]

    # ---- times ----------------------------------------------------------------------------

    def _offers(self, network: Network, layer: Layer) -> list[Candidate]:
        found = candidates(
            layer, self.storages, self.concretise, self.target, network.registry, self.limits,
            constants=NarrowConstants(),
        )  # fmt: skip
        return [c for c in found if c.tactic.accumulates_into is None and c.tactic.priority >= 0]

    def _unknown(self, offered: Sequence[Candidate], layer: Layer) -> set[str]:
        keys = {self.timer.is_to_be_measured(layer, candidate) for candidate in offered}
        return {key for key in keys if key is not None}

    def _fused(self, layer: Layer, offered: Sequence[Candidate]) -> list[_Run]:
        """The ways to run one layer, as far as they could be timed."""
        found: list[_Run] = []
        for candidate in offered:
            least = min((run.seconds for run in found), default=inf)
            seconds = self.timer.seconds(layer, candidate, least)
            if seconds is not None and seconds < inf:
                source, result = candidate.inputs[0], candidate.outputs[0]
                read = None if source is None else place_of(source)
                found.append(_Run(seconds, (read, place_of(result)), ((layer, candidate),)))
        return found

    def _apart(
        self, bare: Layer, offered: Sequence[Candidate], reader: Layer, tail: Sequence[Candidate]
    ) -> list[_Run]:
        """The ways to run both layers, the second where the first one writes."""
        index = next(k for k, read in enumerate(reader.inputs) if read is bare.output)
        behind: dict[Place, list[_Run]] = {}
        for run in self._fused(reader, tail):
            desc = run.measured[0][1].inputs[index]
            if desc is not None:
                behind.setdefault(place_of(desc), []).append(run)
        first = [c for c in offered if place_of(c.outputs[0]) in behind]
        return [
            _Run(
                run.seconds + after.seconds, (run.places[0], after.places[1]),
                (*run.measured, *after.measured),
            )
            for run in self._fused(bare, first) for after in behind[run.places[1]]
        ]  # fmt: skip

    def _least(self, runs: Sequence[_Run], region: Region, usual: Places) -> float:
        """The least time, with the way to other places and back."""
        source, result = region.layer.inputs[0], region.consumer.output

        def moved(tensor: Tensor | None, before: Place | None, after: Place | None) -> float:
            if tensor is None or before is None or after is None or tensor.is_constant:
                return 0.0
            desc = replace(tensor.desc, shape=self.concretise(tensor.shape), value=None)
            return sum(
                self.timer.conversion_seconds(desc, *step)
                for step in conversion_path(desc, before, after, self.registry, self.target)
            )

        return min(
            run.seconds
            + moved(source, usual[0], run.places[0])
            + moved(result, run.places[1], usual[1])
            for run in runs
        )

    def _look_again(self, runs: Sequence[_Run]) -> None:
        """Measure what seemed fast once more."""
        least = min(run.seconds for run in runs)
        near = [run for run in runs if run.seconds <= least * self.timer.promising]
        measured = dict.fromkeys(pair for run in near for pair in run.measured)
        for layer, candidate in measured:
            key = self.timer.measured_once(layer, candidate)
            if key is not None:
                self.timer.measure_again(key, layer, candidate, inf)


Way = tuple[str, "str | None", "Place | None", "Place"]
"""A tactic, its kernel, and where it reads and writes."""


def _way(candidate: Candidate) -> Way:
    """A way to run, whatever further operands there are."""
    source, result = candidate.inputs[0], candidate.outputs[0]
    read = None if source is None else place_of(source)
    return candidate.tactic.name, candidate.kernel, read, place_of(result)
