"""The attribute type of control-flow layers: a body that is itself a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from .tensor import TensorDesc


class Graph(ABC):
    """A network used as an attribute (the branches of If, the body of Loop).

    It is planned, fused, calibrated and serialised like a network. A layer sees only
    its signature; it records the body with `stream.record`.
    """

    @property
    @abstractmethod
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, captures from the outer network included."""

    @property
    @abstractmethod
    def input_descs(self) -> tuple[TensorDesc, ...]:
        """Types and shapes of the inputs."""

    @property
    @abstractmethod
    def output_descs(self) -> tuple[TensorDesc, ...]:
        """Types and shapes of the outputs."""

    @abstractmethod
    def workspace_size(self, inputs: Sequence[TensorDesc]) -> int:
        """Bytes a recording of the body needs for its own tensors at these input shapes."""

    @abstractmethod
    def reference(self, inputs: Sequence[object]) -> list[object]:
        """Run the body on NumPy arrays with the layers' references."""
