"""Sections that change nothing at inference, or are one function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from plugrt.plugins import Array

from ..activations import read_activation
from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from .base import DarknetLayer


class Nothing(DarknetLayer):
    """Nothing at inference: its name stands for the tensor before it."""

    names: ClassVar[tuple[str, ...]] = ("empty", "silence")

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        pass

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return inputs[0]


class Dropout(Nothing):
    """Numbers left out in training, one by one or block by block."""

    names = ("dropout",)
    ignored = frozenset({"dropblock", "dropblock_size_abs", "dropblock_size_rel", "probability"})


class Cost(Nothing):
    """The loss."""

    names = ("cost",)
    ignored = frozenset({"noobj", "ratio", "scale", "thresh", "type"})


class Contrastive(Nothing):
    """A loss of the fork's."""

    names = ("contrastive",)
    ignored = frozenset({
        "classes", "cls_normalizer", "contrastive_neg_max", "max_delta", "temperature",
        "yolo_layer",
    })  # fmt: skip


class Noise(Nothing):
    """Noise added in training."""

    names = ("noise",)
    ignored = frozenset({"amplitude", "mean", "probability", "scale", "std"})


class Logistic(DarknetLayer):
    """The logistic function, which the first Darknet trains with cross entropy."""

    names = ("logistic",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        pass

    def power(self, inputs: Sequence[float]) -> float:
        return 0.29

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return writer.layer("Sigmoid", inputs)


class ActivationLayer(DarknetLayer):
    """An activation function alone."""

    names = ("activation",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.activation = read_activation(options, "linear")

    def power(self, inputs: Sequence[float]) -> float:
        return inputs[0] * self.activation.power

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return self.activation.write(writer, inputs[0])
