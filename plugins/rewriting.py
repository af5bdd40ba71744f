"""What `rewrite` sees of the graph, and the patch it may return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .tensor import Array, Quantization, TensorDesc

if TYPE_CHECKING:
    from .layer import LayerPlugin


class TensorNode(ABC):
    """A tensor of the graph being rewritten. Read-only."""

    name: str

    @property
    @abstractmethod
    def desc(self) -> TensorDesc:
        """Type and (symbolic) shape; `desc.value` for constants."""

    @property
    @abstractmethod
    def producer(self) -> LayerNode | None:
        """The layer that writes it; None for inputs and constants."""

    @property
    @abstractmethod
    def consumers(self) -> tuple[LayerNode, ...]:
        """The layers that read it, once per use."""

    @property
    @abstractmethod
    def is_output(self) -> bool:
        """True when the network's user reads it: it must survive."""

    @property
    def only_consumer(self) -> LayerNode | None:
        """The one layer that reads it, when nobody else does."""
        if self.is_output or len(self.consumers) != 1:
            return None
        return self.consumers[0]


class LayerNode(ABC):
    """A layer of the graph being rewritten. Read-only."""

    name: str

    @property
    @abstractmethod
    def plugin(self) -> LayerPlugin:
        """The layer's plug-in instance."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[TensorNode | None, ...]:
        """Input tensors; None for an absent optional one."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[TensorNode, ...]:
        """Output tensors."""


@dataclass(frozen=True)
class NewTensor:
    """A tensor that a patch adds: a constant, or output `index` of a new layer."""

    name: str
    value: Array | None = field(default=None, compare=False)
    quantization: Quantization | None = None
    layer: int = -1
    index: int = 0


AnyTensor = TensorNode | NewTensor


@dataclass(frozen=True)
class NewLayer:
    """A layer that a patch adds."""

    plugin: LayerPlugin
    inputs: tuple[AnyTensor | None, ...]
    name: str


class Patch:
    """A proposed change: new constants, new layers, and which tensors they replace.

        patch = Patch()
        weights = patch.add_constant("conv1.folded", array)
        (y,) = patch.add_layer(plugin, [x, weights], name="conv1")
        patch.replace(old_output, y)

    The core applies it when types and shapes agree and it lowers the graph's cost; what
    nobody reads afterwards disappears.
    """

    def __init__(self) -> None:
        self.layers: list[NewLayer] = []
        self.replacements: list[tuple[TensorNode, AnyTensor]] = []

    def add_constant(
        self, name: str, value: Any, quantization: Quantization | None = None
    ) -> NewTensor:
        """A new constant; names are made unique by the core."""
        return NewTensor(name, value, quantization)

    def add_layer(
        self, plugin: LayerPlugin, inputs: Sequence[AnyTensor | None], name: str
    ) -> tuple[NewTensor, ...]:
        """A new layer; returns its outputs."""
        self.layers.append(NewLayer(plugin, tuple(inputs), name))
        at = len(self.layers) - 1
        return tuple(
            NewTensor(f"{name}:{i}", layer=at, index=i) for i in range(plugin.getNbOutputs())
        )

    def replace(self, old: TensorNode, new: AnyTensor) -> None:
        """Every reader of `old` reads `new` instead."""
        self.replacements.append((old, new))
