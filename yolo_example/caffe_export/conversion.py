"""One layer of plugrt on its way to Caffe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from plugrt import Layer, Tensor
from plugrt.plugins import Array

from .layers import CaffeLayer


class NotExportableError(Exception):
    """Caffe's layers cannot form what was asked for; the text says what and why."""


class Conversion:
    """What a converter reads, a layer of plugrt, and what it adds, layers of Caffe.

    Every layer added gets a suffix; the one whose blob is the result then takes the name of
    plugrt's layer, so that layers and blobs have the names that tensors have in an engine.
    """

    def __init__(self, layer: Layer, blobs: Mapping[str, str]) -> None:
        self.plugin: Any = layer.plugin
        """The plug-in, with its attributes."""
        self._layer = layer
        self._blobs = blobs
        self._added: list[CaffeLayer] = []

    @property
    def input_count(self) -> int:
        """How many inputs there are, absent optional ones left out."""
        return len(self._layer.present_inputs)

    @property
    def output_sizes(self) -> tuple[int, ...]:
        """The shape of the output without the batch."""
        return _sizes(self._layer.output)

    def sizes(self, index: int = 0) -> tuple[int, ...]:
        """The shape of input `index` without the batch."""
        return _sizes(self._layer.present_inputs[index])

    def is_constant(self, index: int) -> bool:
        """Whether input `index` holds known numbers."""
        return self._layer.present_inputs[index].is_constant

    def constant(self, index: int) -> Array:
        """The numbers of input `index`. Raises NotExportableError where they are not known."""
        value = self._layer.present_inputs[index].value
        if value is None or not self.is_constant(index):
            raise NotExportableError(f"its weights are computed ({self._layer.name})")
        return value

    def blob(self, index: int = 0) -> str:
        """The blob of input `index`. Raises NotExportableError where it has none."""
        tensor = self._layer.present_inputs[index]
        if tensor.name not in self._blobs:
            raise NotExportableError(f"it reads {tensor.name}, which is not exported")
        return self._blobs[tensor.name]

    def blobs(self) -> list[str]:
        """The blobs of all inputs."""
        return [self.blob(index) for index in range(self.input_count)]

    def add(
        self,
        type_name: str,
        bottoms: Sequence[str],
        suffix: str,
        *,
        weights: Sequence[Array] = (),
        **parameters: Any,
    ) -> str:
        """A new layer with one output. Returns its blob."""
        name = self._name(suffix)
        self._add(CaffeLayer(name, type_name, tuple(bottoms), (name,), parameters, tuple(weights)))
        return name

    def add_slice(self, bottom: str, suffix: str, axis: int, size: int, ends: range) -> str:
        """The indices `ends` along an axis of this size. Returns their blob.

        Caffe wants blobs for what is left over, too; nothing reads them.
        """
        if len(ends) == size:
            return bottom
        name = self._name(suffix)
        cuts = {f"{name}.before": 0, name: ends.start, f"{name}.behind": ends.stop}
        if ends.start == 0:
            del cuts[f"{name}.before"]
        if ends.stop == size:
            del cuts[f"{name}.behind"]
        parameters = {"axis": axis, "slice_point": list(cuts.values())[1:]}
        self._add(CaffeLayer(f"{name}.slice", "Slice", (bottom,), tuple(cuts), parameters))
        return name

    def add_split(self, bottom: str, suffix: str, axis: int, size: int) -> list[str]:
        """The indices along an axis of this size, a blob each."""
        if size == 1:
            return [bottom]
        tops = tuple(self._name(f"{suffix}{index}") for index in range(size))
        parameters = {"axis": axis, "slice_point": list(range(1, size))}
        self._add(CaffeLayer(self._name("split"), "Slice", (bottom,), tops, parameters))
        return list(tops)

    def add_reshape(self, bottom: str, suffix: str, *sizes: int) -> str:
        """A blob with other sizes per image."""
        return self.add("Reshape", [bottom], suffix, shape={"dim": [0, *sizes]})

    def finish(self, result: str) -> list[CaffeLayer]:
        """All layers, the blob `result` under its final name."""
        final = {result: self._layer.name}
        return [
            replace(
                layer,
                name=final.get(layer.name, layer.name),
                bottoms=_renamed(layer.bottoms, final),
                tops=_renamed(layer.tops, final),
            )
            for layer in self._added
        ]

    def _name(self, suffix: str) -> str:
        return f"{self._layer.name}.{suffix}"

    def _add(self, layer: CaffeLayer) -> None:
        self._added.append(layer)


def _sizes(tensor: Tensor) -> tuple[int, ...]:
    sizes = []
    for size in tensor.shape[1:]:
        if not isinstance(size, int):
            raise NotExportableError(f"the size {size} of {tensor.name} is not known")
        sizes.append(size)
    return tuple(sizes)


def _renamed(names: Sequence[str], final: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(final.get(name, name) for name in names)
