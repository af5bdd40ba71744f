"""The network API: inputs, constants, layers, outputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...plugin_registry import Registry
from ...plugins import (
    DataType,
    DimLike,
    Graph,
    LayerPlugin,
    PluginError,
    Shape,
    ShapeError,
    TensorDesc,
    format_shape,
    symbol,
)
from ...plugins.dims import DATA_DEPENDENT, Dim, substitute, symbols
from .elements import Layer, Tensor
from .helpers import PREFIX, bind_helper, snake_case

ShapeLike = Sequence[DimLike | str | None]


class Network(Graph):
    """A graph of plug-in layers under construction.

    Layers are added in execution order. `registry` decides which plug-in a type name
    means; by default the process-wide one. Also used as the body of If and Loop.
    """

    def __init__(self, name: str = "network", registry: Registry | None = None) -> None:
        self.name = name
        self.registry = registry if registry is not None else Registry.default()
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.output_names: list[str] = []
        self.layers: list[Layer] = []
        self.tensors: dict[str, Tensor] = {}
        self.size_tensors: dict[str, Tensor] = {}
        self.plan_workspace: Callable[[Sequence[TensorDesc]], int] | None = None
        self._layer_names: set[str] = set()

    # ---- definition -----------------------------------------------------------------------

    def add_input(
        self, name: str, dtype: DataType | str | type, shape: ShapeLike
    ) -> Tensor:
        """A network input. A string in `shape` names a symbolic size; None is a size of its own.

        Raises ShapeError for a negative size or a taken name.
        """
        dims: list[DimLike] = []
        for axis, size in enumerate(shape):
            if size is None or isinstance(size, str):
                dims.append(symbol(size or f"{name}.{axis}"))
            elif isinstance(size, Dim):
                dims.append(size)
            elif int(size) < 0:
                raise ShapeError(
                    f"input {name!r}: size {size} on axis {axis} is negative; use a number, or a "
                    "string such as 'N' for a size that is known later"
                )
            else:
                dims.append(int(size))
        tensor = self._new_tensor(name, DataType.of(dtype), tuple(dims))
        self.inputs.append(tensor)
        return tensor

    def add_constant(self, name: str, value: npt.ArrayLike) -> Tensor:
        """A constant tensor (weights). The array is not copied; do not change it afterwards."""
        array = np.asarray(value)
        if not array.flags.c_contiguous:
            array = np.ascontiguousarray(array)
        return self._new_tensor(name, DataType.of(array.dtype), array.shape, array)

    def add_layer(
        self,
        type: str | LayerPlugin,
        inputs: Sequence[Tensor | npt.ArrayLike | None],
        name: str | None = None,
        **attributes: Any,
    ) -> Layer:
        """A layer of a registered type, or a ready plug-in instance.

        Arrays among `inputs` become constants; None leaves an optional input out. The
        output is named like the layer (`name:1`... from the second on). Raises PluginError
        for an unknown type, LayerAttributeError for wrong attributes, ShapeError for
        inputs that do not fit.
        """
        plugin = (
            self.registry.createPlugin(type, attributes) if isinstance(type, str) else type
        )
        if not isinstance(type, str) and attributes:
            raise PluginError(
                f"attributes {', '.join(attributes)} were given beside a ready {plugin.type}; "
                "pass them to its constructor"
            )
        if name is None:
            name = self.unique_name(snake_case(plugin.type))
        elif name in self._layer_names:
            raise ShapeError(f"layer name {name!r} is taken; names must be unique")
        given = [
            tensor if tensor is None or isinstance(tensor, Tensor)
            else self.add_constant(self.unique_name(f"{name}.{self._input_name(plugin, k)}"), tensor)
            for k, tensor in enumerate(inputs)
        ]
        while given and given[-1] is None:
            given.pop()
        self._check_inputs(name, plugin, given)
        layer = Layer(name, plugin, [])
        descs = [None if t is None else t.desc for t in given]
        layer_outputs = infer_outputs(layer.name, plugin, descs)
        self._attach(layer, given, layer_outputs)
        return layer

    def mark_output(self, tensor: Tensor, name: str | None = None) -> None:
        """Make a tensor an output, under its own or another name."""
        self._own(tensor, "mark_output")
        name = name or tensor.name
        if name in self.output_names:
            raise ShapeError(f"output {name!r} is marked already; give it another name")
        self.outputs.append(tensor)
        self.output_names.append(name)

    def __getattr__(self, name: str) -> Callable[..., Layer]:
        if not name.startswith(PREFIX):
            raise AttributeError(f"Network has no attribute {name!r}")
        return bind_helper(self, name)

    # ---- reading --------------------------------------------------------------------------

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs in order."""
        return tuple(t.name for t in self.inputs)

    @property
    def input_descs(self) -> tuple[TensorDesc, ...]:
        """Descriptions of the inputs."""
        return tuple(t.desc for t in self.inputs)

    @property
    def output_descs(self) -> tuple[TensorDesc, ...]:
        """Descriptions of the outputs."""
        return tuple(t.desc for t in self.outputs)

    @property
    def free_symbols(self) -> list[str]:
        """Names of the sizes that inputs decide, in order of appearance."""
        found: dict[str, None] = {}
        for tensor in self.inputs:
            found.update(dict.fromkeys(symbols(tensor.shape)))
        return list(found)

    def workspace_size(self, inputs: Sequence[TensorDesc]) -> int:
        if self.plan_workspace is None:
            raise PluginError(
                f"body {self.name!r} has no memory plan; bodies are planned with the engine"
            )
        return self.plan_workspace(inputs)

    def reference(self, inputs: Sequence[object]) -> list[object]:
        """Run every layer's NumPy reference on these arrays, in the order of `inputs`."""
        values: dict[int, Any] = {id(t): v for t, v in zip(self.inputs, inputs, strict=True)}

        def value_of(tensor: Tensor | None) -> Any:
            if tensor is None:
                return None
            return tensor.value if tensor.is_constant else values[id(tensor)]

        for layer in self.layers:
            own = [value_of(t) for t in layer.own_inputs]
            results = layer.plugin.reference(own)
            if layer.epilogue:
                operands = [value_of(t) for t in layer.inputs[len(own) :]]
                results[0] = layer.epilogue.apply(results[0], operands)
            values.update({id(t): r for t, r in zip(layer.outputs, results, strict=True)})
        return [value_of(t) for t in self.outputs]

    def unique_name(self, wanted: str) -> str:
        """`wanted`, or with the first free number behind it."""
        if wanted not in self._layer_names and wanted not in self.tensors:
            return wanted
        number = 2
        while f"{wanted}_{number}" in self._layer_names or f"{wanted}_{number}" in self.tensors:
            number += 1
        return f"{wanted}_{number}"

    # ---- for the build --------------------------------------------------------------------

    def insert_layer(
        self,
        position: int,
        plugin: LayerPlugin,
        inputs: Sequence[Tensor | None],
        name: str,
        outputs: Sequence[TensorDesc],
    ) -> Layer:
        """Put a layer with known outputs before position `position` of the execution order."""
        layer = Layer(self.unique_name(name), plugin, [])
        self._attach(layer, inputs, outputs, position)
        return layer

    def remove_layer(self, layer: Layer) -> None:
        """Take a layer out; its outputs must not be read any more."""
        layer.disconnect()
        self.layers.remove(layer)
        self._layer_names.discard(layer.name)
        for tensor in layer.outputs:
            if tensor.producer is layer:
                self.tensors.pop(tensor.name, None)

    def replace_tensor(self, old: Tensor, new: Tensor) -> None:
        """Let every reader of `old`, and the network's user, read `new`."""
        for consumer in list(dict.fromkeys(old.uses)):
            for index, tensor in enumerate(consumer.inputs):
                if tensor is old:
                    consumer.set_input(index, new)
        self.outputs = [new if t is old else t for t in self.outputs]
        for name, tensor in self.size_tensors.items():
            if tensor is old:
                self.size_tensors[name] = new

    def rename_tensor(self, tensor: Tensor, name: str) -> None:
        """Give a tensor another, unused name."""
        if name in self.tensors and self.tensors[name] is not tensor:
            raise ShapeError(f"tensor name {name!r} is taken; names must be unique")
        self.tensors.pop(tensor.name, None)
        tensor.name = name
        self.tensors[name] = tensor

    def rename_layer(self, layer: Layer, name: str) -> None:
        """Give a layer another name, if no other layer has it."""
        if name not in self._layer_names and layer in self.layers:
            self._layer_names.discard(layer.name)
            layer.name = name
            self._layer_names.add(name)

    def sort_layers(self) -> None:
        """Restore execution order, keeping the present one where data allow."""
        placed: set[int] = set()
        ordered: list[Layer] = []
        pending: list[Layer] = list(self.layers)
        position = {id(layer): k for k, layer in enumerate(self.layers)}

        def visit(layer: Layer) -> None:
            stack = [layer]
            while stack:
                top = stack[-1]
                waiting = [
                    t.producer for t in top.present_inputs
                    if t.producer is not None and id(t.producer) not in placed
                ]
                if waiting:
                    stack.append(min(waiting, key=lambda item: position[id(item)]))
                    if len(stack) > len(pending):
                        raise ShapeError(f"layers form a cycle through {top.name!r}")
                else:
                    stack.pop()
                    if id(top) not in placed:
                        placed.add(id(top))
                        ordered.append(top)

        for layer in pending:
            visit(layer)
        self.layers = ordered

    # ---- internals ------------------------------------------------------------------------

    def _new_tensor(
        self, name: str, dtype: DataType, shape: Shape, value: Any = None
    ) -> Tensor:
        if name in self.tensors:
            raise ShapeError(f"tensor name {name!r} is taken; names must be unique")
        tensor = Tensor(name, dtype, shape, value)
        tensor.network = self
        self.tensors[name] = tensor
        return tensor

    def _attach(
        self,
        layer: Layer,
        inputs: Sequence[Tensor | None],
        outputs: Sequence[TensorDesc],
        position: int | None = None,
    ) -> None:
        names = [layer.name if k == 0 else f"{layer.name}:{k}" for k in range(len(outputs))]
        tensors = []
        for name, desc in zip(names, outputs, strict=True):
            unique = name if name not in self.tensors else self.unique_name(name)
            tensor = self._new_tensor(unique, desc.dtype, desc.shape, desc.value)
            tensor.format = desc.format
            tensor.quantization = desc.quantization
            tensors.append(tensor)
        for index, tensor in enumerate(tensors):
            layer.set_output(index, tensor)
            for found in symbols(tensor.shape).values():
                prefix = f"{layer.name}.size"
                if found.bound is not None and found.name.startswith(prefix):
                    self.size_tensors[found.name] = tensors[int(found.name.removeprefix(prefix))]
        layer.append_inputs([])
        for tensor_in in inputs:
            if tensor_in is None:
                layer._inputs.append(None)
            else:
                layer.append_inputs([tensor_in])
        self.layers.insert(len(self.layers) if position is None else position, layer)
        self._layer_names.add(layer.name)

    def _own(self, tensor: Tensor, what: str) -> None:
        if not isinstance(tensor, Tensor) or tensor.network is not self:
            raise ShapeError(f"{what}: {tensor!r} is not a tensor of network {self.name!r}")

    def _check_inputs(
        self, name: str, plugin: LayerPlugin, inputs: Sequence[Tensor | None]
    ) -> None:
        for tensor in inputs:
            if tensor is not None:
                self._own(tensor, f"layer {name!r}")
        names = plugin.input_names
        variadic = bool(names) and names[-1].endswith("*")
        required = sum(not n.endswith(("?", "*")) for n in names)
        fits = required <= len(inputs) and (variadic or len(inputs) <= len(names))
        if not fits or any(t is None for t in inputs[:required]):
            raise ShapeError(
                f"layer {name!r} ({plugin.type}) got {len(inputs)} inputs; it takes "
                f"({', '.join(names)})"
            )

    @staticmethod
    def _input_name(plugin: LayerPlugin, index: int) -> str:
        names = plugin.input_names
        return names[index].rstrip("?*") if index < len(names) else f"input{index}"


def infer_outputs(
    name: str, plugin: LayerPlugin, inputs: Sequence[TensorDesc | None]
) -> list[TensorDesc]:
    """Descriptions of a layer's outputs; its data-dependent sizes named after the layer."""
    present: Any = inputs
    types: Any = [d.dtype if d is not None else None for d in inputs]
    outputs = []
    for index in range(plugin.getNbOutputs()):
        try:
            shape = tuple(_dim(dim) for dim in plugin.getOutputDimensions(index, present))
            dtype = plugin.getOutputDataType(index, types)
            value = plugin.getOutputValue(index, present)
        except ShapeError as error:
            given = ", ".join("-" if d is None else str(d) for d in inputs)
            raise ShapeError(f"layer {name!r} ({plugin.type}): {error}; inputs: {given}") from None
        outputs.append(TensorDesc(dtype, qualify(shape, name), value=value))
    for desc in outputs:
        for dim in desc.shape:
            if isinstance(dim, int) and dim < 0:
                raise ShapeError(
                    f"layer {name!r} ({plugin.type}): output shape {format_shape(desc.shape)} "
                    "has a negative size; the input is too small for these attributes"
                )
    return outputs


def qualify(shape: Shape, name: str) -> Shape:
    """Data-dependent symbols of a layer's shape rule under the layer's own name."""
    values: Mapping[str, DimLike] = {
        found.name: symbol(f"{name}.size{found.name.removeprefix(DATA_DEPENDENT)}", found.bound)
        for found in symbols(shape).values()
        if found.name.startswith(DATA_DEPENDENT)
    }
    return tuple(substitute(dim, values) for dim in shape) if values else shape


def _dim(dim: Any) -> DimLike:
    return dim if isinstance(dim, Dim) else int(dim)
