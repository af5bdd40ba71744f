"""The tensors that a patch speaks of, in the network where it is carried out."""

from __future__ import annotations

from collections.abc import Callable

from ...plugins import AnyTensor, Array, DataType, NewTensor, PluginError, Shape
from ..graph import Layer, Network, Tensor


class PatchTensors:
    """Resolves what a patch's layers read, and what replaces its tensors.

    `made` are the patch's layers carried out so far, to be appended in order. `existing` gives
    the network's own tensor for one that the patch found in the graph: in a copy, another one.
    """

    def __init__(
        self, network: Network, existing: Callable[[Tensor], Tensor] = lambda tensor: tensor
    ) -> None:
        self.made: list[Layer] = []
        self._network = network
        self._existing = existing
        self._constants: dict[int, Tensor] = {}

    def resolve(self, tensor: AnyTensor | None) -> Tensor | None:
        """The network's tensor; a constant of the patch is added when first asked for.

        Raises PluginError for what is no tensor of the graph and no part of the patch.
        """
        if tensor is None:
            return None
        if isinstance(tensor, Tensor):
            return self._existing(tensor)
        if not isinstance(tensor, NewTensor):
            raise PluginError(f"a patch refers to {tensor!r}, which is no tensor of this graph")
        if tensor.layer >= 0:
            return self.made[tensor.layer].outputs[tensor.index]
        if id(tensor) not in self._constants:
            value = constant_type(tensor)[2]
            fresh = self._network.add_constant(self._network.unique_name(tensor.name), value)
            fresh.quantization = tensor.quantization
            self._constants[id(tensor)] = fresh
        return self._constants[id(tensor)]


def constant_type(tensor: NewTensor) -> tuple[DataType, Shape, Array]:
    """Type, shape and value of a patch's constant. Raises PluginError where it has no value."""
    if tensor.value is None:
        raise PluginError(f"a patch's constant {tensor.name!r} has no value")
    return DataType.of(tensor.value.dtype), tensor.value.shape, tensor.value
