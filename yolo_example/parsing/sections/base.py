"""What all sections have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from plugrt.plugins import Array

from ..graph_writer import GraphWriter
from ..option_reader import LARGEST, OptionReader
from ..settings import NetSettings
from ..shapes import FeatureShape

COMMON_OPTIONS = frozenset({
    "burnin_update", "clip", "dont_update", "dontload", "dontloadscales", "dontsave",
    "learning_rate", "onlyforward", "smooth", "stopbackward", "train_only_bn", "truth",
})  # fmt: skip
"""Options of every section that matter to training, or to what is in the weights file."""


@dataclass(frozen=True)
class Blob:
    """A run of float32 values in the weights file.

    `kind` says what they mean: bias, scale, mean, variance, weight, or matrix (a weight that
    some files hold transposed). `fan_in` is the number of products summed up for one output.
    `transposed` ones stand in every file with the first axis last.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    fan_in: int = 1
    transposed: bool = False

    @property
    def count(self) -> int:
        """How many values it has."""
        return prod(self.shape)

    def from_file(self, values: Array, *, matrices_transposed: bool = False) -> Array:
        """The values of a file in this blob's shape; the flag is the file's."""
        if self._stands_transposed(matrices_transposed):
            return np.ascontiguousarray(values.reshape(-1, self.shape[0]).T).reshape(self.shape)
        return values.reshape(self.shape)

    def to_file(self, array: Array, *, matrices_transposed: bool = False) -> Array:
        """The values of `array` as they stand in a file: what `from_file` undoes."""
        if self._stands_transposed(matrices_transposed):
            return np.ascontiguousarray(array.reshape(self.shape[0], -1).T).ravel()
        return array.ravel()

    def _stands_transposed(self, matrices_transposed: bool) -> bool:
        return self.transposed or (self.kind == "matrix" and matrices_transposed)


class DarknetLayer(ABC):
    """One section as a layer: options read, shape inferred, not yet in a network.

    Layers count from 0 behind [net]; `earlier` holds those before this one. The constructor
    raises ModelError for options and shapes that do not fit.
    """

    names: ClassVar[tuple[str, ...]]
    """What the section may be called; the first name is used in tensor names."""

    ignored: ClassVar[frozenset[str]] = frozenset()
    """Options that matter to training only, beside COMMON_OPTIONS."""

    unsupported: ClassVar[Mapping[str, tuple[float, str]]] = {}
    """Options that must have the given, neutral value, and why."""

    is_output: ClassVar[bool] = False
    """True when the network's user wants the result."""

    def __init__(
        self, options: OptionReader, earlier: Sequence[DarknetLayer], settings: NetSettings
    ) -> None:
        self.index = len(earlier)
        self.name = f"{self.index:03d}_{self.names[0]}"
        self.section = options.section
        self.source = earlier[-1].output if earlier else settings.input
        self.output: FeatureShape = self.source
        self.sources: tuple[int, ...] = (self.index - 1,)
        self.settings = settings
        options.refuse(self.unsupported)
        self.read(options, earlier)
        if options.flag("dontload") and self.blobs():
            raise options.error(
                "dontload",
                "dontload=1 keeps the weights of this section out of the file, and Darknet runs "
                "it with random ones; delete the option if the file has them",
            )
        shape = self.output
        if min(shape.channels, *shape.area) < 1 or shape.size > LARGEST:
            raise options.section.error(
                f"the result would be {shape} (channels x height x width); sizes must be "
                f"above 0 and their product at most {LARGEST}"
            )

    @abstractmethod
    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        """Take what concerns this layer from `options`; set `output`, and `sources` where they
        are other than the layer before (-1 is the network's input)."""

    def read_files(self) -> None:  # noqa: B027 - most sections name none
        """Read the files that the section names; called once, before weights and `write`."""

    @abstractmethod
    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        """Add the layers; `inputs` are the tensors of `sources`. Returns the output tensor."""

    def blobs(self) -> Sequence[Blob]:
        """What the weights file holds for this layer, in order."""
        return ()

    def power(self, inputs: Sequence[float]) -> float:
        """The mean square of the output, roughly, given that of the inputs: random weights
        keep it near one."""
        return inputs[0]

    def spatial(self, writer: GraphWriter, tensor: Any) -> Any:
        """`tensor`, the layer before, with height and width, where it comes as a vector."""
        return with_area(writer, tensor, self.source, "reshape")


def with_area(writer: GraphWriter, tensor: Any, shape: FeatureShape, suffix: str) -> Any:
    """`tensor` of this shape with height and width, where it comes as a vector."""
    if not shape.flat:
        return tensor
    return writer.layer("Reshape", [tensor], suffix, shape=(0, shape.channels, *shape.area))


def layer_index(
    options: OptionReader, name: str, value: int, earlier: Sequence[DarknetLayer]
) -> int:
    """The absolute index of a layer given as `value`, negative ones counted from here.

    Raises ModelError when there is no such layer before this one.
    """
    index = value + len(earlier) if value < 0 else value
    if not 0 <= index < len(earlier):
        allowed = f"layers 0 to {len(earlier) - 1}" if earlier else "no layers"
        raise options.error(
            name, f"{name}={value} names layer {index}, but {allowed} come before this one"
        )
    return index
