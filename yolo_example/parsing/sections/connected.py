"""[connected]: a fully connected layer."""

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


class Connected(DarknetLayer):
    """Every output from every input; in the weights file normalization follows the weights."""

    names = ("connected", "conn")
    ignored = frozenset({"dontload", "dontloadscales", "learning_rate", "stopbackward"})

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        outputs = options.integer("output", 1, minimum=1)
        self.batch_normalize = options.flag("batch_normalize")
        self.activation = read_activation(options, "logistic")
        self.output = FeatureShape(outputs, flat=True)

    def blobs(self) -> Sequence[Blob]:
        outputs, inputs = self.output.channels, self.source.size
        normalization = normalization_blobs(outputs) if self.batch_normalize else ()
        return (
            Blob("biases", "bias", (outputs,)),
            Blob("weights", "matrix", (outputs, inputs), fan_in=inputs),
            *normalization,
        )

    def power(self, inputs: Sequence[float]) -> float:
        return self.activation.power

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        operands = [inputs[0], writer.constant("weights", blobs["weights"])]
        if not self.batch_normalize:
            operands.append(writer.constant("biases", blobs["biases"]))
        plain = self.activation.layer is None
        tensor = writer.layer(
            "FullyConnected",
            operands,
            "" if plain and not self.batch_normalize else "product",
        )
        if self.batch_normalize:
            tensor = write_normalization(
                writer, tensor, blobs, self.settings.batch_norm,
                "" if plain else "batch_normalize",
            )  # fmt: skip
        return self.activation.write(writer, tensor)
