"""[convolutional]: convolution, batch normalization or bias, activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array

from ..activations import read_activation
from ..graph_writer import GraphWriter, suffixes
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .antialiasing import read_blurred_strides
from .base import Blob, DarknetLayer
from .batch_normalization import Normalization

LARGEST_KERNEL = 1024
BINARY = "convolution with weights of one bit is not implemented"


class Convolutional(DarknetLayer):
    """`pad=1` means half the kernel; else `padding` counts, on all four sides; either times the
    dilation."""

    names = ("convolutional", "conv")
    # Deformed kernels (sway, rotate, stretch) stand deformed in the file.
    ignored = frozenset({
        "angle", "assisted_excitation", "bin_output", "dot", "grad_centr", "reverse", "rotate",
        "stream", "stretch", "stretch_sway", "sway", "wait_stream",
    })  # fmt: skip
    unsupported = {
        "binary": (0, BINARY),
        "coordconv": (0, "the fork ignores it on CPUs and gives chance results on GPUs"),
        "numload": (0, "Darknet runs the filters that are not loaded with random weights"),
        "share_index": (-1000000000, "weights of another section cannot be shared yet"),
        "xnor": (0, BINARY),
    }

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.filters = options.integer("filters", 1, minimum=1)
        self.groups = options.integer("groups", 1, minimum=1)
        self.size = options.integer("size", 1, minimum=1, maximum=LARGEST_KERNEL)
        self.strides, self.blur = read_blurred_strides(options)
        dilation = options.integer("dilation", 1, minimum=1, maximum=LARGEST_KERNEL)
        self.dilation = dilation if self.size > 1 else 1
        padding = options.integer("padding", 0, maximum=LARGEST_KERNEL)
        if options.flag("pad"):
            padding = self.size // 2
        self.padding = padding * self.dilation
        self.flipped = options.flag("flipped")
        self.normalization = self._read_normalization(options)
        self.activation = read_activation(options, "logistic", may_join_channels=True)
        channels = self.source.channels
        for what, count in (("the input's channels", channels), ("filters", self.filters)):
            if count % self.groups:
                raise options.error(
                    "groups", f"groups={self.groups} does not divide {what} ({count})"
                )
        self.output = self._convolved(options, padding)
        if self.blur:
            self.output = self.blur.output(self.output)

    def _read_normalization(self, options: OptionReader) -> Normalization | None:
        # `cbn` looks at earlier batches in training; afterwards it is plain normalization.
        flags = [options.flag(name) for name in ("batch_normalize", "cbn")]
        if not any(flags):
            return None
        loaded = not options.flag("dontloadscales")
        return Normalization(self.filters, self.settings.batch_norm, loaded)

    def _convolved(self, options: OptionReader, padding: int) -> FeatureShape:
        reach = self.dilation * (self.size - 1) + 1
        if min(self.source.area) + 2 * self.padding < reach:
            raise options.error(
                "size",
                f"size={self.size} is larger than the padded input "
                f"({self.source}, padding {self.padding}); use a smaller one",
            )
        axes = list(zip(self.source.area, self.strides, strict=True))
        height, width = ((e + 2 * self.padding - reach) // stride + 1 for e, stride in axes)
        # The fork sizes its output as if there were no dilation.
        if (height, width) != tuple((e + 2 * padding - self.size) // s + 1 for e, s in axes):
            raise options.error(
                "dilation",
                f"dilation={self.dilation} needs pad=1 and an odd size: else Darknet writes "
                "its result where the next layer does not look for it",
            )
        return FeatureShape(self.filters, height, width)

    def blobs(self) -> Sequence[Blob]:
        inputs = self.source.channels // self.groups
        shape = (self.filters, inputs, self.size, self.size)
        fan_in = inputs * self.size**2
        return (
            Blob("biases", "bias", (self.filters,)),
            *(self.normalization.blobs() if self.normalization else ()),
            Blob("weights", "weight", shape, fan_in, transposed=self.flipped),
        )

    def power(self, inputs: Sequence[float]) -> float:
        return self.activation.power_for(self.filters)

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        stages = {
            "convolution": True,
            "batch_normalize": self.normalization is not None,
            "activation": self.activation.layer is not None,
            "blur": self.blur is not None,
        }
        suffix = suffixes([stage for stage, present in stages.items() if present])
        operands = [self.spatial(writer, inputs[0]), writer.constant("weights", blobs["weights"])]
        if self.normalization is None:
            operands.append(writer.constant("biases", blobs["biases"]))
        tensor = writer.layer(
            "Convolution",
            operands,
            suffix["convolution"],
            strides=self.strides,
            dilations=(self.dilation, self.dilation),
            padding=(self.padding,) * 4,
            groups=self.groups,
        )
        if self.normalization is not None:
            tensor = self.normalization.write(writer, tensor, blobs, suffix["batch_normalize"])
        tensor = self.activation.write(writer, tensor, suffix.get("activation", ""))
        return self.blur.write(writer, tensor, self.filters) if self.blur else tensor
