"""[softmax]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plugrt.plugins import Array

from ..class_trees import find_tree, read_tree
from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import DarknetLayer


class Softmax(DarknetLayer):
    """Over all values, over each of `groups`, with `spatial=1` over the channels of every pixel,
    or with `tree=` over the children of every class."""

    names = ("softmax", "soft")
    ignored = frozenset({"noloss"})
    is_output = True

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.options = options
        self.has_tree = bool(options.text("tree"))
        self.groups = options.integer("groups", 1, minimum=1)
        self.spatial_axis = options.flag("spatial")
        self.temperature = options.number("temperature", 1.0)
        if self.temperature <= 0:
            raise options.error("temperature", f"temperature={self.temperature:g} must be above 0")
        if self.source.size % self.groups:
            raise options.error(
                "groups", f"groups={self.groups} does not divide the {self.source.size} inputs"
            )
        names = self.settings.class_names
        if names and self.groups == 1 and len(names) < self.source.channels:
            raise options.section.error(
                f"the result has {self.source.channels} classes, but the file of names "
                f"{len(names)}; give the names this net was trained with"
            )
        if self.has_tree or not self.spatial_axis:
            self.output = FeatureShape(self.source.size, flat=True)

    def read_files(self) -> None:
        if not self.has_tree:
            return
        path = self.settings.trees.tree or find_tree(self.options)
        self.tree = read_tree(path)
        if len(self.tree.parents) != self.source.size:
            raise self.options.error(
                "tree",
                f"the input is {self.source}, but {path} has {len(self.tree.parents)} classes",
            )

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        if self.has_tree:
            return self._write_tree(writer, inputs[0])
        tensor = inputs[0]
        if self.temperature != 1:
            factor = writer.constant("scale", np.asarray(1 / self.temperature, np.float32))
            tensor = writer.layer("Multiply", [tensor, factor], "scaled")
        if self.spatial_axis:
            return writer.layer("Softmax", [tensor], axis=1)
        if self.groups > 1:
            shape = (0, self.groups, self.source.size // self.groups)
            tensor = writer.layer("Reshape", [tensor], "groups", shape=shape)
            tensor = writer.layer("Softmax", [tensor], "softmax", axis=-1)
            return writer.layer("Reshape", [tensor], shape=(0, self.source.size))
        return writer.layer("Softmax", [self._flat(writer, tensor)], axis=-1)

    def _write_tree(self, writer: GraphWriter, tensor: Any) -> Any:
        names = self.settings.class_names or self.tree.names
        return writer.layer(
            "Darknet.TreeSoftmax",
            [self._flat(writer, tensor)],
            parents=self.tree.parents,
            names=names[: self.source.size],
            temperature=self.temperature,
        )

    def _flat(self, writer: GraphWriter, tensor: Any) -> Any:
        return tensor if self.source.flat else writer.layer("Flatten", [tensor], "flat", axis=1)
