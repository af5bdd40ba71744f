"""Sections that read earlier layers: [route], [scale_channels], [sam]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array

from ..activations import read_activation
from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import DarknetLayer, layer_index, with_area


class Route(DarknetLayer):
    """Concatenates layers along the channels; with `groups`, one part of each."""

    names = ("route",)
    ignored = frozenset({"stream", "wait_stream"})

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.sources = tuple(
            layer_index(options, "layers", value, earlier)
            for value in options.required_integers("layers")
        )
        self.groups = options.integer("groups", 1, minimum=1)
        self.group = options.integer("group_id", 0, maximum=self.groups - 1)
        self.shapes = [earlier[index].output for index in self.sources]
        first = self.shapes[0]
        for index, shape in zip(self.sources, self.shapes, strict=True):
            if shape.area != first.area:
                raise options.error(
                    "layers",
                    f"layers {self.sources[0]} and {index} have different sizes "
                    f"({first} and {shape}); name layers of equal height and width",
                )
            if shape.channels % self.groups:
                raise options.error(
                    "groups",
                    f"groups={self.groups} does not divide the {shape.channels} channels of "
                    f"layer {index}",
                )
        self.parts = [shape.channels // self.groups for shape in self.shapes]
        is_flat = all(shape.flat for shape in self.shapes)
        self.output = FeatureShape(sum(self.parts), *first.area, is_flat)

    def power(self, inputs: Sequence[float]) -> float:
        total = sum(part * power for part, power in zip(self.parts, inputs, strict=True))
        return total / self.output.channels

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        tensors = list(inputs)
        if not self.output.flat:
            tensors = [
                with_area(writer, tensor, shape, f"reshape{k}")
                for k, (tensor, shape) in enumerate(zip(tensors, self.shapes, strict=True))
            ]
        if self.groups > 1:
            for k, size in enumerate(self.parts):
                alone = len(tensors) == 1
                tensors[k] = writer.layer(
                    "Slice", [tensors[k]], "" if alone else f"part{k}", axes=(1,),
                    starts=(size * self.group,), ends=(size * (self.group + 1),),
                )  # fmt: skip
        if len(tensors) == 1:
            return tensors[0]
        return writer.layer("Concatenation", tensors, axis=1)


class ScaleChannels(DarknetLayer):
    """Multiplies an earlier layer by the one before: one factor for every channel, or with
    `scale_wh=1` one for every pixel."""

    names = ("scale_channels",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        index = layer_index(
            options, "from", options.required_integer("from", minimum=-(1 << 31)), earlier
        )
        self.sources = (index, self.index - 1)
        self.activation = read_activation(options, "linear")
        self.output = earlier[index].output
        if options.flag("scale_wh"):
            wanted = FeatureShape(1, self.output.height, self.output.width)
        else:
            wanted = FeatureShape(self.output.channels)
        factors = (self.source.channels, *self.source.area)
        if factors != (wanted.channels, *wanted.area) or self.output.flat:
            raise options.error(
                "from",
                f"the layer before ({self.source}) cannot scale layer {index} ({self.output}); "
                f"it must be {wanted}",
            )

    def power(self, inputs: Sequence[float]) -> float:
        return inputs[0] * inputs[1] * self.activation.power

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        factors = self.spatial(writer, inputs[1])
        suffix = "" if self.activation.layer is None else "product"
        return self.activation.write(writer, writer.layer("Multiply", [inputs[0], factors], suffix))


class SpatialAttention(DarknetLayer):
    """Multiplies the layer before by an earlier one of the same size."""

    names = ("sam",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        index = layer_index(
            options, "from", options.required_integer("from", minimum=-(1 << 31)), earlier
        )
        self.sources = (self.index - 1, index)
        self.activation = read_activation(options, "linear")
        if earlier[index].output != self.source:
            raise options.error(
                "from",
                f"layer {index} ({earlier[index].output}) and the layer before "
                f"({self.source}) must have the same size",
            )

    def power(self, inputs: Sequence[float]) -> float:
        return inputs[0] * inputs[1] * self.activation.power

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        suffix = "" if self.activation.layer is None else "product"
        return self.activation.write(writer, writer.layer("Multiply", inputs, suffix))
