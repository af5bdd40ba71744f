"""One network from plain values that nobody vouches for.

What is read here is consistent in itself: every position is in range, every layer reads
tensors written before it, every shape and type is the one that the layer's plug-in derives.
Whatever is not raises PlanError and names the place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...plugin_registry import Registry
from ...plugins import Array, DataType, Format, TensorDesc
from ...plugins.dims import symbols
from ..graph import Layer, Network, Tensor
from ..memory import Aliasing
from ..runtime.planned import PlannedNetwork
from .consistency import check_outputs
from .dims_codec import DimDecoder
from .epilogue_codec import check_operands, decode_epilogue
from .plain import choice, flag, integer, items, members, optional, record, refuse, row, text
from .plugin_state import ask, make_plugin
from .requirements import Installed
from .tensor_codec import check_storage, decode_quantization, decode_tensor
from .tuning_codec import decode_tuning

MOST_LANES = 64
"""More than any device has a use for: a plan with more is damaged."""

_FORMATS = tuple(member.value for member in Format)


@dataclass(frozen=True)
class Surroundings:
    """What a network refers to outside itself. `body` resolves a reference to another network;
    `content` is the digest of the whole plan."""

    registry: Registry
    installed: Installed
    constants: Sequence[Array]
    body: Callable[[Any, str], PlannedNetwork]
    content: str


@dataclass(frozen=True)
class _Output:
    """A layer's stored output; `keeps_value` when the build knew its contents."""

    name: str
    desc: TensorDesc
    keeps_value: bool


class NetworkReader:
    """Reads one network."""

    def __init__(
        self, around: Surroundings, states: Sequence[memoryview], number: int
    ) -> None:
        self._around = around
        self._states = states
        self._what = f"networks[{number}]"
        self._tuning = f"tuning[{number}]"
        self._dims = DimDecoder()
        self._tensors: list[Tensor] = []
        self._formats: list[Format] = []
        self._contents: dict[int, Any] = {}
        self._sizes: dict[str, int] = {}
        self._explained_sizes: set[str] = set()
        self._bodies: dict[int, PlannedNetwork] = {}
        self._aliasing: dict[Layer, Aliasing] = {}
        self._digests: dict[int, str] = {}

    def read(self, graph: Any, tuning: Any) -> PlannedNetwork:
        """The network with its decisions. Raises PlanError or ShapeError."""
        what = self._what
        name, declared, inputs, constants, layers, outputs, sizes = record(
            graph, what, "name", "symbols", "inputs", "constants", "layers", "outputs", "sizes"
        )
        lanes = None
        if isinstance(tuning, dict) and "lanes" in tuning:  # only where they were measured
            tuning = dict(tuning)
            lanes = integer(tuning.pop("lanes"), f"{self._tuning}.lanes", 1, MOST_LANES)
        formats, decisions = record(tuning, self._tuning, "formats", "layers")
        self._formats = items(formats, f"{self._tuning}.formats", _format)
        network = Network(text(name, f"{what}.name"), self._around.registry)
        items(declared, f"{what}.symbols", self._dims.declare)
        self._sizes = dict(items(sizes, f"{what}.sizes", _named_position))
        items(inputs, f"{what}.inputs", lambda v, w: self._add_input(network, v, w))
        items(constants, f"{what}.constants", lambda v, w: self._add_constant(network, v, w))
        count = len(self._states)
        tuned = iter(row(decisions, f"{self._tuning}.layers", count))
        states = iter(self._states)
        items(
            row(layers, f"{what}.layers", count), f"{what}.layers",
            lambda v, w: self._add_layer(network, v, next(states), next(tuned), w),
        )  # fmt: skip
        row(formats, f"{self._tuning}.formats", len(self._tensors))
        for position, marked in enumerate(items(outputs, f"{what}.outputs", _named_position)):
            self._mark_output(network, *marked, f"{what}.outputs[{position}]")
        self._set_sizes(network)
        planned = PlannedNetwork(network, self._aliasing, self._bodies, self._digests)
        planned.lanes = lanes
        return planned

    # ---- tensors --------------------------------------------------------------------------

    def _add_input(self, network: Network, value: Any, what: str) -> None:
        name, desc = decode_tensor(value, self._dims, what)
        network.inputs.append(self._add_tensor(network, name, desc, what))
        self._refuse_format(network.inputs[-1], what)

    def _add_constant(self, network: Network, value: Any, what: str) -> None:
        name, number, quantization = row(value, what, 3)
        constants = self._around.constants
        array = constants[integer(number, what, 0, len(constants) - 1)]
        scales = optional(
            quantization, what, lambda v, w: decode_quantization(v, array.shape, w)
        )
        desc = TensorDesc(
            DataType.of(array.dtype), array.shape, quantization=scales, value=array
        )
        tensor = self._add_tensor(network, text(name, what), desc, what)
        self._refuse_format(tensor, what)
        # The plan's digest is verified: hashing each array again would say no more.
        self._digests[id(tensor)] = f"{self._around.content}:{number}"

    def _add_tensor(self, network: Network, name: str, desc: TensorDesc, what: str) -> Tensor:
        position = len(self._tensors)
        if position >= len(self._formats):
            refuse(what, f"tensor {position}", f"one of the {len(self._formats)} with a format")
        check_storage(desc, self._formats[position], what)
        tensor = network._new_tensor(name, desc.dtype, desc.shape, desc.value)
        tensor.format = self._formats[position]
        tensor.quantization = desc.quantization
        self._tensors.append(tensor)
        return tensor

    @staticmethod
    def _refuse_format(tensor: Tensor, what: str) -> None:
        """Inputs, constants and outputs are linear."""
        if tensor.format is not Format.LINEAR:
            refuse(what, f"stored as {tensor.format.value}", Format.LINEAR.value)

    # ---- layers ---------------------------------------------------------------------------

    def _add_layer(
        self, network: Network, value: Any, state: memoryview, decision: Any, what: str
    ) -> None:
        name, plugin_number, inputs, outputs, epilogue, fused, bodies = record(
            value, what, "name", "plugin", "inputs", "outputs", "epilogue", "fused", "bodies"
        )
        what = f"{what} {text(name, what)!r}"
        if name in network._layer_names:
            refuse(what, "a second layer of its name", "distinct names")
        plugin = make_plugin(
            self._around.installed, integer(plugin_number, what), state,
            self._read_bodies(bodies, f"{what}.bodies"), what,
        )  # fmt: skip
        layer = Layer(name, plugin, [])
        layer.fused = items(fused, f"{what}.fused", text)
        layer.epilogue = decode_epilogue(epilogue, f"{what}.epilogue")
        ask(plugin, "setEpilogue", what, layer.epilogue)
        for tensor in items(inputs, f"{what}.inputs", self._input):
            layer._inputs.append(None)
            layer.set_input(len(layer.inputs) - 1, tensor)
        self._add_outputs(network, layer, items(outputs, f"{what}.outputs", self._output), what)
        network.layers.append(layer)
        network._layer_names.add(name)
        self._tune(layer, decision, what)

    def _read_bodies(self, value: Any, what: str) -> dict[str, Network]:
        bodies = {}
        for name, number in members(value, what).items():
            planned = self._around.body(number, f"{what}.{name}")
            bodies[name] = planned.network
            self._bodies[id(planned.network)] = planned
        return bodies

    def _input(self, value: Any, what: str) -> Tensor | None:
        last = len(self._tensors) - 1
        return optional(value, what, lambda v, w: self._tensors[integer(v, w, 0, last)])

    def _output(self, value: Any, what: str) -> _Output:
        *tensor, keeps_value = row(value, what, 5)
        name, desc = decode_tensor(tensor, self._dims, what)
        return _Output(name, desc, flag(keeps_value, what))

    def _add_outputs(
        self, network: Network, layer: Layer, outputs: Sequence[_Output], what: str
    ) -> None:
        """Check the outputs against the plug-in's rules, and add them."""
        if not outputs or layer.epilogue.operands > len(layer.inputs):
            refuse(what, f"of {len(layer.inputs)} inputs and {len(outputs)} outputs", "more")
        own = layer.own_inputs
        network._check_inputs(layer.name, layer.plugin, own)
        derived = check_outputs(
            layer.plugin,
            [None if t is None else replace(t.desc, value=self._contents_of(t)) for t in own],
            [output.desc for output in outputs],
            self._size_names([output.desc for output in outputs], what),
            what,
        )
        operands = [None if t is None else t.desc for t in layer.inputs[len(own) :]]
        check_operands(layer.epilogue, operands, outputs[0].desc.shape, what)
        self._explained_sizes.update(derived.sizes.values())
        for index, (output, contents) in enumerate(zip(outputs, derived.values, strict=True)):
            tensor = self._add_tensor(network, output.name, output.desc, what)
            self._contents[id(tensor)] = contents
            if output.keeps_value:
                tensor.value = _kept(contents, tensor, what)
            layer.set_output(index, tensor)

    def _contents_of(self, tensor: Tensor) -> Any:
        return self._contents.get(id(tensor), tensor.value)

    def _size_names(self, outputs: Sequence[TensorDesc], what: str) -> dict[int, str]:
        """Output index -> stored name of the data-dependent size that it holds."""
        first = len(self._tensors)
        names: dict[int, str] = {}
        appearing = {name for desc in outputs for name in symbols(desc.shape)}
        for name in sorted(appearing & set(self._sizes)):
            index = self._sizes[name] - first
            if names.setdefault(index, name) != name:
                refuse(what, f"sizes {names[index]!r} and {name!r} in one tensor", "one")
        return names

    def _tune(self, layer: Layer, decision: Any, what: str) -> None:
        tuned = decode_tuning(decision, layer, f"{what}.tuning")
        layer.on_host = tuned.on_host
        if tuned.kernel is not None:
            layer.kernel = self._around.installed.kernel(tuned.kernel, layer.plugin)
        ask(layer.plugin, "setTactic", what, tuned.tactic)
        self._aliasing[layer] = tuned.aliasing

    # ---- the network's outputs ------------------------------------------------------------

    def _mark_output(self, network: Network, name: str, position: int, what: str) -> None:
        if position >= len(self._tensors):
            refuse(what, position, f"one of {len(self._tensors)} tensors")
        tensor = self._tensors[position]
        if tensor.producer is None or tensor.is_output or tensor.is_constant:
            refuse(what, f"tensor {tensor.name!r}", "a tensor that a layer writes for it alone")
        self._refuse_format(tensor, what)
        network.mark_output(tensor, name)

    def _set_sizes(self, network: Network) -> None:
        """Let each data-dependent size be read where its layer writes it, and nowhere else."""
        for name, position in sorted(self._sizes.items()):
            what = f"{self._what}.sizes[{name!r}]"
            if name not in self._explained_sizes or position >= len(self._tensors):
                refuse(what, position, "an output that its layer calls a size")
            tensor = self._tensors[position]
            if tensor.dtype is not DataType.INT64 or any(size != 1 for size in tensor.shape):
                refuse(what, str(tensor.desc), "an int64 scalar")
            network.size_tensors[name] = tensor


def _format(value: Any, what: str) -> Format:
    return Format(choice(value, what, _FORMATS))


def _named_position(value: Any, what: str) -> tuple[str, int]:
    name, position = row(value, what, 2)
    return text(name, what), integer(position, what)


def _kept(contents: Any, tensor: Tensor, what: str) -> Any:
    """The contents that the build knew, as the plug-in derives them again."""
    if contents is None:
        refuse(what, f"with known contents of {tensor.name!r}", "contents its plug-in can derive")
    if contents.dtype != object and contents.dtype != tensor.dtype.numpy:
        refuse(what, f"with {contents.dtype} contents in {tensor.name!r}", tensor.dtype.value)
    return np.ascontiguousarray(contents).reshape(contents.shape)
