"""[implicit]: trained values that no input reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array

from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import Blob, DarknetLayer


class Implicit(DarknetLayer):
    """`filters` channels of `atoms` rows, the same for all images. The fork's; [shortcut] adds
    them to another layer, [scale_channels] multiplies by them."""

    names = ("implicit",)
    ignored = frozenset({"std"})

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        filters = options.integer("filters", 128, minimum=1)
        atoms = options.integer("atoms", 1, minimum=1)
        self.output = FeatureShape(filters, atoms)
        # What training starts from tells sums from factors, for random weights.
        self.is_factor = options.number("mean", 0.0) > 0.5

    def blobs(self) -> Sequence[Blob]:
        return (Blob("weights", "scale" if self.is_factor else "bias", self.output.dimensions),)

    def power(self, inputs: Sequence[float]) -> float:
        return 1.0 if self.is_factor else 0.01

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        values = writer.constant("weights", blobs["weights"])
        return writer.layer("Darknet.Implicit", [values, inputs[0]])
