"""[connected]: a fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array

from ..activations import read_activation
from ..graph_writer import GraphWriter, suffixes
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import Blob, DarknetLayer
from .batch_normalization import Normalization


class Connected(DarknetLayer):
    """Every output from every input; in the weights file normalization follows the weights."""

    names = ("connected", "conn")

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        outputs = options.integer("output", 1, minimum=1)
        self.normalization: Normalization | None = None
        if options.flag("batch_normalize"):
            loaded = not options.flag("dontloadscales")
            self.normalization = Normalization(outputs, self.settings.batch_norm, loaded)
        self.activation = read_activation(options, "logistic")
        self.output = FeatureShape(outputs, flat=True)

    def blobs(self) -> Sequence[Blob]:
        outputs, inputs = self.output.channels, self.source.size
        return (
            Blob("biases", "bias", (outputs,)),
            Blob("weights", "matrix", (outputs, inputs), fan_in=inputs),
            *(self.normalization.blobs() if self.normalization else ()),
        )

    def power(self, inputs: Sequence[float]) -> float:
        return self.activation.power

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        stages = {
            "product": True,
            "batch_normalize": self.normalization is not None,
            "activation": self.activation.layer is not None,
        }
        suffix = suffixes([stage for stage, present in stages.items() if present])
        operands = [inputs[0], writer.constant("weights", blobs["weights"])]
        if self.normalization is None:
            operands.append(writer.constant("biases", blobs["biases"]))
        tensor = writer.layer("FullyConnected", operands, suffix["product"])
        if self.normalization is not None:
            tensor = self.normalization.write(writer, tensor, blobs, suffix["batch_normalize"])
        return self.activation.write(writer, tensor)
