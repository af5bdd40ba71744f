"""Conversions: where a tensor is read in another type or format than it is written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...plugins import Format, PlugrtError
from ..devices.target import Target
from ..explanation import CONVERSION, Note
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise, Storage
from ..tuning.candidates import Candidate, Place, candidates, place_of
from ..tuning.conversions import conversion_path
from ..tuning.options import Option
from ..tuning.timer import Timer
from .choice_notes import place_text


class Conversions:
    """Inserts layers of the roles `cast` and `reformat` into one network."""

    def __init__(
        self, network: Network, declared: Mapping[Tensor, Place], concretise: Concretise,
        target: Target, timer: Timer, report: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._timer = timer
        self._report = report
        self._network = network
        self._declared = declared
        self._concretise = concretise
        self._target = target

    def insert(self, choice: Mapping[Layer, Option]) -> None:
        """Give every reader the place of its choice, and the user outputs as `declared`."""
        network = self._network
        for tensor in list(network.tensors.values()):
            if tensor.is_constant:
                continue
            made: dict[Place, Tensor] = {(tensor.dtype, tensor.format): tensor}
            for use in list(dict.fromkeys(tensor.uses)):
                if use not in choice:
                    continue
                for index, read in enumerate(use.inputs):
                    wanted = choice[use].input_place(index)
                    if read is tensor and wanted is not None:
                        use.set_input(index, self._at(tensor, wanted, made))
            if tensor.is_output:
                own = self._at(tensor, self._declared[tensor], made)
                network.outputs = [own if t is tensor else t for t in network.outputs]
        network.sort_layers()

    def _at(self, tensor: Tensor, wanted: Place, made: dict[Place, Tensor]) -> Tensor:
        found = tensor
        desc = replace(tensor.desc, shape=self._concretise(tensor.shape), value=None)
        path = conversion_path(
            desc, (tensor.dtype, tensor.format), wanted, self._network.registry,
            self._target,
        )  # fmt: skip
        for role, _, target in path:
            if target not in made:
                made[target] = self._convert(role, found, target, tensor).output
            found = made[target]
        return found

    def _convert(self, role: str, source: Tensor, target: Place, origin: Tensor) -> Layer:
        network = self._network
        dtype, layout = target
        position = 0 if source.producer is None else network.layers.index(source.producer) + 1
        words = [] if dtype is origin.dtype else [dtype.value]
        words += [] if layout is origin.format else [layout.value]
        layer = network.insert_layer(
            position, network.registry.by_role(role)(), [source],
            ".".join([origin.name, *words]),
            [replace(source.desc, dtype=dtype, format=layout, value=None)],
        )
        found = self._candidate(layer)
        if found is None:
            raise PlugrtError(
                f"no layer of role {role!r} turns {source.name!r} from {source.dtype.value} "
                f"{source.format.value} to {dtype.value} {layout.value}"
            )
        layer.kernel, layer.on_host = found.kernel, found.on_host
        layer.plugin.setTactic(found.tactic)
        self._tell(layer, role, found)
        return layer

    def _tell(self, layer: Layer, role: str, found: Candidate) -> None:
        before, after = found.inputs[0], found.outputs[0]
        if before is None:
            return
        seconds = self._timer.conversion_seconds(
            replace(before, value=None), role, place_of(before), place_of(after)
        )
        places = [place_text(before), place_text(after)]
        text = f"{role}s {layer.present_inputs[0].name} from {places[0]} to {places[1]}"
        known = None if self._timer.knows_nothing else seconds
        facts = {
            "tactic": found.tactic.name, "kernel": found.kernel, "seconds": known, "runs": True,
            "inputs": places[:1], "outputs": places[1:], "candidates": [],
        }  # fmt: skip
        if known is not None:
            text += f", {known * 1e6:.1f} us"
        self._report(Note(layer.name, CONVERSION, text, **facts))

    def _candidate(self, layer: Layer) -> Candidate | None:
        (source,), (result,) = layer.present_inputs, layer.outputs
        storages = [Storage(source.format), Storage(result.format)]
        places = ((source.dtype, source.format), (result.dtype, result.format))
        found = candidates(
            layer, storages, self._concretise, self._target, self._network.registry
        )
        return next((c for c in found if c.places == places), None)


def declared_places(network: Network) -> dict[Tensor, Place]:
    """Where the user expects the outputs."""
    return {tensor: (tensor.dtype, Format.LINEAR) for tensor in network.outputs}
