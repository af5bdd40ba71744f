"""The network API: inputs, constants, layers, outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    symbol,
)
from ...plugins.dims import Dim, symbols
from .elements import Layer, Tensor
from .helpers import PREFIX, bind_helper, snake_case
from .inference import infer_outputs, size_name
from .ordering import in_execution_order

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
        self.metadata: dict[str, str] = {}
        """What whoever uses the engine should know: names of classes, say. Plans keep it."""
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
        """A constant tensor (weights). Python's own floats become float32.

        An array that is contiguous, aligned and in the machine's byte order is not copied; do
        not change it afterwards. Raises ShapeError for a taken name or an unknown type.
        """
        array = np.asarray(value)
        try:
            dtype = DataType.of(array.dtype)
        except ShapeError as error:
            raise ShapeError(f"constant {name!r}: {error}") from None
        if dtype is DataType.FLOAT64 and not hasattr(value, "dtype"):
            dtype = DataType.FLOAT32
        array = np.require(array, dtype.numpy, ("C", "A"))
        return self._new_tensor(name, dtype, array.shape, array)

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
        known = set(self.tensors)
        try:
            given = self._given(name, plugin, inputs)
            self._check_inputs(name, plugin, given)
            outputs = infer_outputs(name, plugin, [None if t is None else t.desc for t in given])
        except BaseException:
            for made in set(self.tensors) - known:
                del self.tensors[made]
            raise
        layer = Layer(name, plugin, [])
        self._attach(layer, given, outputs)
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
            for dim in tensor.shape:
                found.update(dict.fromkeys(symbols(dim)))
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
            if self.tensors.get(tensor.name) is tensor and tensor.producer is layer:
                del self.tensors[tensor.name]
                for name in [n for n, t in self.size_tensors.items() if t is tensor]:
                    del self.size_tensors[name]

    def replace_tensor(self, old: Tensor, new: Tensor, spare: Sequence[Layer] = ()) -> None:
        """Let every reader of `old` but those in `spare`, and the network's user, read `new`."""
        for consumer in list(dict.fromkeys(old.uses)):
            for index, tensor in enumerate(consumer.inputs):
                if tensor is old and consumer not in spare:
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
        self.layers = in_execution_order(self.layers)

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
        sizes = {size_name(layer.name, k): tensor for k, tensor in enumerate(tensors)}
        for name in symbols([dim for tensor in tensors for dim in tensor.shape]):
            if name in sizes:
                self.size_tensors[name] = sizes[name]
        layer.append_inputs(inputs)
        self.layers.insert(len(self.layers) if position is None else position, layer)
        self._layer_names.add(layer.name)

    def _given(
        self, name: str, plugin: LayerPlugin, inputs: Sequence[Tensor | npt.ArrayLike | None]
    ) -> list[Tensor | None]:
        """The inputs as tensors, arrays as new constants; absent ones at the end left out."""
        given = [
            value if value is None or isinstance(value, Tensor)
            else self.add_constant(self.unique_name(f"{name}.{self._input_name(plugin, k)}"), value)
            for k, value in enumerate(inputs)
        ]
        while given and given[-1] is None:
            given.pop()
        return given

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
