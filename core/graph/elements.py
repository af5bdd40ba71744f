"""The nodes of a network: tensors and layers. They are what `rewrite` sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ...plugins import (
    Array,
    DataType,
    Epilogue,
    Format,
    LayerNode,
    LayerPlugin,
    Quantization,
    Shape,
    ShapeError,
    TensorDesc,
    TensorNode,
    format_shape,
)

if TYPE_CHECKING:
    from .network import Network


class Tensor(TensorNode):
    """A value of a network. `value` holds the contents of constants.

    `format`, and for int8 `dtype` and `quantization`, are the storage chosen by the build.
    """

    def __init__(
        self,
        name: str,
        dtype: DataType,
        shape: Shape,
        value: Array | None = None,
        producer: Layer | None = None,
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.value = value
        self.format = Format.LINEAR
        self.quantization: Quantization | None = None
        self.network: Network | None = None
        self._producer = producer
        self.uses: list[Layer] = []

    @property
    def desc(self) -> TensorDesc:
        """Type, shape, format, quantization and contents."""
        return TensorDesc(
            self.dtype, self.shape, self.format, quantization=self.quantization, value=self.value
        )

    @property
    def producer(self) -> Layer | None:
        """The layer that writes it; None for inputs and constants."""
        return self._producer

    @property
    def consumers(self) -> tuple[Layer, ...]:
        """The layers that read it, once per use."""
        return tuple(self.uses)

    @property
    def is_output(self) -> bool:
        """True when it is marked as an output of the network."""
        return self.network is not None and any(self is t for t in self.network.outputs)

    @property
    def is_constant(self) -> bool:
        """True when its contents are known numbers."""
        return self.value is not None and self.value.dtype != object

    def set_quantization(
        self, scale: npt.ArrayLike, zero_point: npt.ArrayLike = 0, axis: int | None = None
    ) -> None:
        """Allow 8-bit storage: real = (stored - zero_point) * scale.

        The build stores the tensor in 8 bits where its producer and consumers can; for
        constants the scale may be given per index of `axis`. Raises ShapeError for scales
        that are not positive or do not fit the axis.
        """
        found = Quantization.of(scale, zero_point, axis)
        if axis is not None:
            rank = len(self.shape)
            size = self.shape[axis] if -rank <= axis < rank else None
            if not self.is_constant or size is None or len(found.scale) not in (1, size):
                raise ShapeError(
                    f"{self!r}: {len(found.scale)} scales along axis {axis} do not fit; constants "
                    "take one per index of an axis, other tensors one scale without an axis"
                )
            found = replace(found, axis=axis % rank)
        self.quantization = found

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, {self.dtype.value}, {format_shape(self.shape)})"


class Layer(LayerNode):
    """A use of a plug-in: its inputs, outputs, and what the build decided for it.

    `inputs` holds the layer's own inputs, then the operands of `epilogue`.
    """

    def __init__(
        self,
        name: str,
        plugin: LayerPlugin,
        inputs: Sequence[Tensor | None],
    ) -> None:
        self.name = name
        self._plugin = plugin
        self._inputs: list[Tensor | None] = list(inputs)
        self._outputs: list[Tensor] = []
        self.epilogue = Epilogue()
        self.kernel: str | None = None
        self.on_host = False
        """Whether it runs by a tactic for the CPU, on whatever device the engine is."""
        self.fused: list[str] = []

    @property
    def plugin(self) -> LayerPlugin:
        """The plug-in instance."""
        return self._plugin

    @plugin.setter
    def plugin(self, plugin: LayerPlugin) -> None:
        self._plugin = plugin

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """Input tensors; None for an absent optional one."""
        return tuple(self._inputs)

    @property
    def own_inputs(self) -> tuple[Tensor | None, ...]:
        """The inputs without the epilogue's operands."""
        return self.inputs[: len(self._inputs) - self.epilogue.operands]

    @property
    def present_inputs(self) -> tuple[Tensor, ...]:
        """The inputs that are there."""
        return tuple(t for t in self._inputs if t is not None)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Output tensors."""
        return tuple(self._outputs)

    @property
    def output(self) -> Tensor:
        """The first output."""
        return self._outputs[0]

    @property
    def input_descs(self) -> list[Any]:
        """Descriptions of all inputs, None where absent."""
        return [None if t is None else t.desc for t in self._inputs]

    def set_input(self, index: int, tensor: Tensor | None) -> None:
        """Read another tensor as input `index`."""
        old = self._inputs[index]
        if old is not None:
            old.uses.remove(self)
        self._inputs[index] = tensor
        if tensor is not None:
            tensor.uses.append(self)

    def append_inputs(self, tensors: Sequence[Tensor | None]) -> None:
        """Read further tensors; None for an absent optional one."""
        for tensor in tensors:
            self._inputs.append(None)
            self.set_input(len(self._inputs) - 1, tensor)

    def set_output(self, index: int, tensor: Tensor) -> None:
        """Write another tensor as output `index`; the former one is no longer produced."""
        if index == len(self._outputs):
            self._outputs.append(tensor)
        else:
            self._outputs[index] = tensor
        tensor._producer = self

    def disconnect(self) -> None:
        """Stop reading every input."""
        for index in range(len(self._inputs)):
            self.set_input(index, None)

    def __repr__(self) -> str:
        return f"Layer({self.name!r}, {self._plugin.type})"
