"""Networks as plain values: the graph in one list, the tuning decisions in another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...plugin_registry import Registry
from ...plugins import LayerPlugin, PlanError, PluginError, Quantization
from ...plugins.dims import symbols
from ..graph import Layer, Network, Tensor
from ..memory import Aliasing
from ..passes.copying import graph_attributes
from ..runtime.planned import PlannedNetwork
from .constants import ConstantWriter
from .dims_codec import DimDecoder, checked_shape, encode_symbols
from .epilogue_codec import encode_epilogue
from .plain import one_line
from .requirements import Requirement, kernel_requirement, layer_requirement
from .tuning_codec import encode_tuning


class PlanWriter:
    """Collects a planned network and its bodies, each network before its bodies."""

    def __init__(self, registry: Registry) -> None:
        self.graphs: list[Any] = []
        self.tuning: list[Any] = []
        self.states: list[list[bytes]] = []
        self.constants = ConstantWriter()
        self._registry = registry
        self._requirements: dict[Requirement, int] = {}
        self._classes: dict[str, type] = {}

    @property
    def requirements(self) -> list[Requirement]:
        """The plug-ins named so far, in the order of their numbers."""
        return list(self._requirements)

    def add(self, planned: PlannedNetwork) -> int:
        """Write a network; returns its number. Raises PlanError for what plans cannot hold."""
        number = len(self.graphs)
        self.graphs.append(None)
        self.tuning.append(None)
        self.states.append([])
        try:
            self.graphs[number], self.tuning[number] = self._network(planned, number)
        except PlanError as error:
            raise PlanError(f"network {planned.network.name!r}: {error}") from None
        return number

    def _network(
        self, planned: PlannedNetwork, position: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        network = planned.network
        constants = _constants_of(network)
        tensors = [*network.inputs, *constants]
        tensors += [t for layer in network.layers for t in layer.outputs]
        number = {id(tensor): k for k, tensor in enumerate(tensors)}
        declared = encode_symbols([t.shape for t in tensors])
        decoder = DimDecoder()
        for index, declaration in enumerate(declared):
            decoder.declare(declaration, f"size {declared[index][0]!r}")
        layers, decisions = [], []
        for layer in network.layers:
            self.states[position].append(_state_of(layer))
            graph, tuned = self._layer(planned, layer, number, decoder)
            layers.append(graph)
            decisions.append(tuned)
        in_use = {name for tensor in tensors for name in symbols(tensor.shape)}
        graph = {
            "name": network.name,
            "symbols": declared,
            "inputs": [_tensor(t, decoder) for t in network.inputs],
            "constants": [self._constant(t) for t in constants],
            "layers": layers,
            "outputs": [
                [name, number[id(t)]]
                for name, t in zip(network.output_names, network.outputs, strict=True)
            ],
            "sizes": sorted(
                [name, number[id(t)]]
                for name, t in network.size_tensors.items()
                if name in in_use and id(t) in number
            ),
        }
        tuning = {"formats": [t.format.value for t in tensors], "layers": decisions}
        if planned.lanes is not None:
            tuning["lanes"] = planned.lanes
        return graph, tuning

    def _layer(
        self, planned: PlannedNetwork, layer: Layer, number: dict[int, int], decoder: DimDecoder
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        kernel = None
        if layer.kernel is not None:
            kernel = self._require(kernel_requirement(self._registry, layer.kernel))
        bodies = {
            name: self.add(planned.body(body))
            for name, body in sorted(graph_attributes(layer.plugin).items())
        }
        graph = {
            "name": layer.name,
            "plugin": self._require_layer(layer.plugin),
            "inputs": [None if t is None else number[id(t)] for t in layer.inputs],
            "outputs": [_output(t, decoder) for t in layer.outputs],
            "epilogue": encode_epilogue(layer.epilogue),
            "fused": list(layer.fused),
            "bodies": bodies,
        }
        aliasing = planned.aliasing.get(layer, Aliasing())
        return graph, encode_tuning(layer, kernel, aliasing)

    def _constant(self, tensor: Tensor) -> list[Any]:
        if tensor.value is None or not tensor.is_constant:
            raise PlanError(
                f"tensor {tensor.name!r} is neither an input nor a constant, and no layer writes "
                "it; connect or remove it"
            )
        return [tensor.name, self.constants.add(tensor.value), _quantization(tensor)]

    def _require_layer(self, plugin: LayerPlugin) -> int:
        known = self._classes.setdefault(plugin.type, type(plugin))
        if known is not type(plugin):
            raise PluginError(
                f"two classes call themselves {plugin.type!r}: {known.__module__}."
                f"{known.__qualname__} and {type(plugin).__module__}."
                f"{type(plugin).__qualname__}; types must be unique in a plan"
            )
        return self._require(layer_requirement(self._registry, plugin))

    def _require(self, requirement: Requirement) -> int:
        return self._requirements.setdefault(requirement, len(self._requirements))


def _constants_of(network: Network) -> list[Tensor]:
    """Tensors that nobody writes and that are read, in the order of their use."""
    inputs = {id(t) for t in network.inputs}
    read = [t for layer in network.layers for t in layer.present_inputs]
    found = {
        id(t): t for t in [*read, *network.outputs] if t.producer is None and id(t) not in inputs
    }
    return list(found.values())


def _state_of(layer: Layer) -> bytes:
    try:
        state = layer.plugin.serialize()
    except Exception as error:
        raise PluginError(
            f"layer {layer.name!r} ({layer.plugin.type}): serialize() failed: {one_line(error)}"
        ) from error
    if not isinstance(state, bytes):
        raise PluginError(
            f"layer {layer.name!r} ({layer.plugin.type}): serialize() returned "
            f"{type(state).__name__}; it must return bytes"
        )
    return state


def _tensor(tensor: Tensor, decoder: DimDecoder) -> list[Any]:
    shape = checked_shape(tensor.shape, decoder, f"tensor {tensor.name!r}")
    return [tensor.name, tensor.dtype.value, shape, _quantization(tensor)]


def _output(tensor: Tensor, decoder: DimDecoder) -> list[Any]:
    return [*_tensor(tensor, decoder), tensor.value is not None]


def _quantization(tensor: Tensor) -> list[Any] | None:
    found: Quantization | None = tensor.quantization
    if found is None:
        return None
    scales: Sequence[float] = [float(scale) for scale in found.scale]
    return [list(scales), [int(zero) for zero in found.zero_point], found.axis]
