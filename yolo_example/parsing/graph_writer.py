"""Putting a section's layers into a plugrt network under Darknet's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array


class GraphWriter:
    """Adds the layers of one section. The last one bears the section's name, `NNN_section`;
    layers before it and constants add a suffix."""

    def __init__(self, network: Any, name: str) -> None:
        self._network = network
        self._name = name

    def layer(
        self, type_name: str, inputs: Sequence[Any], suffix: str = "", **attributes: Any
    ) -> Any:
        """The first output of a new layer."""
        name = f"{self._name}.{suffix}" if suffix else self._name
        return self._network.add_layer(type_name, list(inputs), name=name, **attributes).output

    def constant(self, suffix: str, values: Array) -> Any:
        """A new constant."""
        return self._network.add_constant(f"{self._name}.{suffix}", values)


def suffixes(stages: Sequence[str]) -> Mapping[str, str]:
    """A suffix for each layer of a section, in their order: its stage's name, none for the last."""
    return {stage: stage if stage != stages[-1] else "" for stage in stages}
