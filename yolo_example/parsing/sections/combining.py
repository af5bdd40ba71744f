"""Sections that read earlier layers: [route], [shortcut], [scale_channels], [sam]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array

from ..activations import read_activation
from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import DarknetLayer, layer_index


class Route(DarknetLayer):
    """Concatenates layers along the channels; with `groups`, one part of each."""

    names = ("route",)
    ignored = frozenset({"stopbackward", "stream", "wait_stream"})

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.sources = tuple(
            layer_index(options, "layers", value, earlier)
            for value in options.required_integers("layers")
        )
        self.groups = options.integer("groups", 1, minimum=1)
        self.group = options.integer("group_id", 0, maximum=self.groups - 1)
        shapes = [earlier[index].output for index in self.sources]
        for index, shape in zip(self.sources, shapes, strict=True):
            if shape.area != shapes[0].area or shape.flat != shapes[0].flat:
                raise options.error(
                    "layers",
                    f"layers {self.sources[0]} and {index} have different sizes "
                    f"({shapes[0]} and {shape}); name layers of equal height and width",
                )
            if shape.channels % self.groups:
                raise options.error(
                    "groups",
                    f"groups={self.groups} does not divide the {shape.channels} channels of "
                    f"layer {index}",
                )
        self.parts = [shape.channels // self.groups for shape in shapes]
        height, width = shapes[0].area
        self.output = FeatureShape(sum(self.parts), height, width, shapes[0].flat)

    def power(self, inputs: Sequence[float]) -> float:
        total = sum(part * power for part, power in zip(self.parts, inputs, strict=True))
        return total / self.output.channels

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        tensors = list(inputs)
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


class Shortcut(DarknetLayer):
    """Adds earlier layers to the one before.

    Of different channels, the common ones are added. A larger layer is read at every
    `stride`-th pixel, stride being the ratio of the widths.
    """

    names = ("shortcut",)
    ignored = frozenset({"stopbackward"})

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        added = tuple(
            layer_index(options, "from", value, earlier)
            for value in options.required_integers("from")
        )
        self.sources = (self.index - 1, *added)
        self.activation = read_activation(options, "linear")
        for name in ("weights_type", "weights_normalization"):
            if options.text(name, "none") != "none":
                raise options.error(
                    name, f"{name}={options.text(name)} is not supported; only none is"
                )
        self.added = [earlier[index].output for index in added]
        for index, shape in zip(added, self.added, strict=True):
            strides = {a // b for a, b in zip(shape.area, self.source.area, strict=True)}
            if len(strides) > 1 or 0 in strides or shape.flat != self.source.flat:
                raise options.error(
                    "from",
                    f"layer {index} ({shape}) cannot be added to the layer before "
                    f"({self.source}); its height and width must be the same, or larger by "
                    "one factor",
                )

    def power(self, inputs: Sequence[float]) -> float:
        return sum(inputs)  # an activation changes little: such sums are mostly positive

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        terms = [inputs[0]]
        for k, (tensor, shape) in enumerate(zip(inputs[1:], self.added, strict=True)):
            terms.append(self._fitted(writer, tensor, shape, f"from{k}"))
        suffix = "" if self.activation.layer is None else "sum"
        tensor = writer.layer("Add" if len(terms) == 2 else "Sum", terms, suffix)
        return self.activation.write(writer, tensor)

    def _fitted(self, writer: GraphWriter, tensor: Any, shape: FeatureShape, name: str) -> Any:
        """`tensor` with the height, width and channels of the layer before."""
        common = min(shape.channels, self.source.channels)
        stride = shape.width // self.source.width
        if (common, *self.source.area) != (shape.channels, *shape.area):
            reach = [(extent - 1) * stride + 1 for extent in self.source.area]
            rank = 2 if shape.flat else 4
            tensor = writer.layer(
                "Slice", [tensor], f"{name}.slice", axes=(1, 2, 3)[: rank - 1],
                starts=(0, 0, 0)[: rank - 1], ends=(common, *reach)[: rank - 1],
                steps=(1, stride, stride)[: rank - 1],
            )  # fmt: skip
        missing = self.source.channels - common
        if missing:
            rest = (0,) * (0 if shape.flat else 2)
            padding = (0, 0, *rest, 0, missing, *rest)
            tensor = writer.layer("Pad", [tensor], f"{name}.pad", padding=padding)
        return tensor


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
