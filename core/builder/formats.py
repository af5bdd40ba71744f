"""Reformats: where a tensor is read in another memory format than it is written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...plugins import Format, PlugrtError
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise
from ..tuning.assignment import Option
from ..tuning.candidates import candidates


class Reformats:
    """Inserts layers of role `reformat` into one network."""

    def __init__(self, network: Network, concretise: Concretise, threads: int) -> None:
        self._network = network
        self._concretise = concretise
        self._threads = threads

    def insert(self, choice: Mapping[Layer, Option]) -> None:
        """Give every reader the format of its choice, and the user LINEAR outputs."""
        network = self._network
        for tensor in list(network.tensors.values()):
            if tensor.is_constant:
                continue
            made: dict[Format, Tensor] = {tensor.format: tensor}
            for use in list(dict.fromkeys(tensor.uses)):
                if use not in choice:
                    continue
                for index, read in enumerate(use.inputs):
                    if read is tensor:
                        wanted = choice[use].input_format(index)
                        use.set_input(index, self._in_format(tensor, wanted, made))
            if tensor.is_output and tensor.format is not Format.LINEAR:
                linear = self._in_format(tensor, Format.LINEAR, made)
                network.outputs = [linear if t is tensor else t for t in network.outputs]
        network.sort_layers()

    def _in_format(self, tensor: Tensor, wanted: Format, made: dict[Format, Tensor]) -> Tensor:
        if wanted not in made:
            made[wanted] = self._reformat(tensor, wanted).output
        return made[wanted]

    def _reformat(self, tensor: Tensor, wanted: Format) -> Layer:
        network = self._network
        position = 0 if tensor.producer is None else network.layers.index(tensor.producer) + 1
        layer = network.insert_layer(
            position, network.registry.by_role("reformat")(), [tensor],
            f"{tensor.name}.{wanted.value}", [replace(tensor.desc, format=wanted, value=None)],
        )
        found = candidates(
            layer, [tensor.format, wanted], self._concretise, self._threads, network.registry
        )
        for candidate in found:
            if candidate.layouts == (tensor.format, wanted):
                layer.kernel = candidate.kernel
                layer.plugin.setTactic(candidate.tactic)
                return layer
        raise PlugrtError(
            f"no layer of role 'reformat' turns {tensor.name!r} from {tensor.format.value} to "
            f"{wanted.value}"
        )
