"""What a layer is tried on: attributes and input arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypedDict, runtime_checkable

import numpy as np

from plugrt.plugins import Array, DataType, Graph, LayerPlugin, PluginError, TensorDesc

CONSTANT_NAMES = frozenset({
    "weights", "bias", "scale", "shift", "mean", "variance", "slope", "shape",
})  # fmt: skip
"""Inputs of these names are constants unless a case says otherwise."""


class ExampleCase(TypedDict, total=False):
    """One example, as a layer's `exampleCases()` gives it. Only `inputs` is required."""

    inputs: Sequence[Any]
    """One array per input, in logical order; small ones, with a batch above 1 where there is
    a batch."""
    attributes: Mapping[str, Any]
    constants: Sequence[int]
    """Inputs that are constants of the network; by default those called weights, bias, ..."""
    tolerance: float
    """Allowed relative error in float32, in place of the kit's."""


@runtime_checkable
class ProvidesExamples(Protocol):
    """A layer class that knows sensible examples of itself."""

    @classmethod
    def exampleCases(cls) -> Iterable[ExampleCase]:
        """Examples that together exercise the layer."""


@dataclass(frozen=True)
class Case:
    """One way to use a layer."""

    layer_class: type[LayerPlugin]
    inputs: tuple[Array, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: frozenset[int] = frozenset()
    tolerance: float | None = None
    device: str = "cpu"
    """Where it is tried."""

    def layer(self) -> LayerPlugin:
        """A fresh instance."""
        return self.layer_class(**self.attributes)

    def descs(self) -> tuple[TensorDesc, ...]:
        """Descriptions of the inputs at definition, constants with their values."""
        return tuple(
            TensorDesc(
                DataType.of(array.dtype), array.shape,
                value=array if index in self.constants else None,
            )
            for index, array in enumerate(self.inputs)
        )  # fmt: skip

    def with_inputs(self, inputs: Iterable[Array]) -> Case:
        """The same use on other arrays."""
        return replace(self, inputs=tuple(inputs))

    @property
    def activations(self) -> list[int]:
        """Inputs that are not constants."""
        return [index for index in range(len(self.inputs)) if index not in self.constants]

    def __str__(self) -> str:
        shapes = ", ".join(str(desc) for desc in self.descs())
        shown = ", ".join(f"{name}={_brief(value)}" for name, value in self.attributes.items())
        return f"({shapes})" + (f" {shown}" if shown else "")


def _brief(value: Any) -> str:
    if isinstance(value, Graph):
        return "Graph"
    return value.value if isinstance(value, DataType) else repr(value)


def default_constants(layer_class: type[LayerPlugin], count: int) -> frozenset[int]:
    """The inputs that are usually constants, by their names."""
    names = layer_class.input_names
    return frozenset(
        index
        for index in range(1, min(count, len(names)))
        if names[index].rstrip("?*") in CONSTANT_NAMES
    )


def example_cases(layer_class: type[LayerPlugin]) -> list[Case]:
    """The cases that a layer gives itself; empty when it gives none.

    Raises PluginError when `exampleCases()` returns something else than examples.
    """
    if not isinstance(layer_class, ProvidesExamples):
        return []
    cases = []
    for number, example in enumerate(layer_class.exampleCases()):
        try:
            inputs = tuple(np.ascontiguousarray(a).reshape(np.shape(a)) for a in example["inputs"])
            constants = example.get("constants")
            cases.append(
                Case(
                    layer_class,
                    inputs,
                    dict(example.get("attributes", {})),
                    default_constants(layer_class, len(inputs))
                    if constants is None
                    else frozenset(constants),
                    example.get("tolerance"),
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PluginError(
                f"{layer_class.type}.exampleCases() item {number} is malformed ({error!r}); give "
                "a mapping with `inputs`, and perhaps attributes, constants, tolerance"
            ) from None
    return cases
