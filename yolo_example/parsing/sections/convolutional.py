"""[convolutional]: convolution, batch normalization or bias, activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array

from ..activations import read_activation
from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import Blob, DarknetLayer
from .batch_normalization import normalization_blobs, write_normalization

LARGEST_KERNEL = 1024


class Convolutional(DarknetLayer):
    """`pad=1` means half the kernel; else `padding` counts, on all four sides."""

    names = ("convolutional", "conv")
    ignored = frozenset({
        "angle", "bin_output", "dontload", "dontloadscales", "dot", "grad_centr", "learning_rate",
        "stopbackward", "stream", "wait_stream", "burnin_update", "train_only_bn",
    })  # fmt: skip
    unsupported = {
        "antialiasing": 0, "assisted_excitation": 0, "binary": 0, "cbn": 0, "coordconv": 0,
        "flipped": 0, "reverse": 0, "rotate": 0, "share_index": -1000000000, "stretch": 0,
        "stretch_sway": 0, "sway": 0, "xnor": 0,
    }  # fmt: skip

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.filters = options.integer("filters", 1, minimum=1)
        self.groups = options.integer("groups", 1, minimum=1)
        self.size = options.integer("size", 1, minimum=1, maximum=LARGEST_KERNEL)
        stride = options.integer("stride", 1, minimum=1)
        self.strides = (
            options.integer("stride_y", stride, minimum=1),
            options.integer("stride_x", stride, minimum=1),
        )
        self.dilation = options.integer("dilation", 1, minimum=1) if self.size > 1 else 1
        options.text("dilation")
        padding = options.integer("padding", 0, maximum=LARGEST_KERNEL)
        if options.flag("pad"):
            padding = self.size // 2
        self.padding = padding * self.dilation
        self.batch_normalize = options.flag("batch_normalize")
        self.activation = read_activation(options, "logistic")
        channels = self.source.channels
        for what, count in (("the input's channels", channels), ("filters", self.filters)):
            if count % self.groups:
                raise options.error(
                    "groups", f"groups={self.groups} does not divide {what} ({count})"
                )
        reach = self.dilation * (self.size - 1) + 1
        if min(self.source.area) + 2 * self.padding < reach:
            raise options.error(
                "size",
                f"size={self.size} is larger than the padded input "
                f"({self.source}, padding {self.padding}); use a smaller one",
            )
        height, width = (
            (extent + 2 * self.padding - reach) // stride + 1
            for extent, stride in zip(self.source.area, self.strides, strict=True)
        )
        self.output = FeatureShape(self.filters, height, width)

    def blobs(self) -> Sequence[Blob]:
        inputs = self.source.channels // self.groups
        shape = (self.filters, inputs, self.size, self.size)
        normalization = normalization_blobs(self.filters) if self.batch_normalize else ()
        return (
            Blob("biases", "bias", (self.filters,)),
            *normalization,
            Blob("weights", "weight", shape, fan_in=inputs * self.size**2),
        )

    def power(self, inputs: Sequence[float]) -> float:
        return self.activation.power

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        operands = [self.spatial(writer, inputs[0]), writer.constant("weights", blobs["weights"])]
        if not self.batch_normalize:
            operands.append(writer.constant("biases", blobs["biases"]))
        plain = self.activation.layer is None
        tensor = writer.layer(
            "Convolution",
            operands,
            "" if plain and not self.batch_normalize else "convolution",
            strides=self.strides,
            dilations=(self.dilation, self.dilation),
            padding=(self.padding,) * 4,
            groups=self.groups,
        )
        if self.batch_normalize:
            tensor = write_normalization(
                writer, tensor, blobs, self.settings.batch_norm,
                "" if plain else "batch_normalize",
            )  # fmt: skip
        return self.activation.write(writer, tensor)
