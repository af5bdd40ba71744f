"""Softmax over a tree of classes: a [softmax] section with tree=."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from plugrt.plugins import Array, Shape, ShapeError, Stream, TensorDesc, attribute, format_shape

from .class_tree import ClassTree, parents_attribute
from .float_layer import FloatLayer
from .kernels import kernel


class TreeSoftmax(FloatLayer):
    """[N, classes] through softmax over the children of every class: probabilities given the
    parent. Float32. `probabilities` makes absolute ones of them.

    Source: Redmon and Farhadi, YOLO9000 (arXiv:1612.08242), section 4.
    """

    type = "Darknet.TreeSoftmax"
    devices = ("cpu", "cuda")

    parents = parents_attribute("the parent of every class", required=True)
    names: attribute[tuple[str, ...]] = attribute(
        tuple[str, ...], (), "names of the classes, for people"
    )
    temperature = attribute(
        float, 1.0, "divides the values", allowed=lambda t: t > 0, rule="a number above 0"
    )

    @cached_property
    def tree(self) -> ClassTree:
        """The tree of the classes."""
        return ClassTree.of(self.parents)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        wanted = len(self.parents)
        if len(shape) != 2 or (isinstance(shape[1], int) and shape[1] != wanted):
            raise ShapeError(
                f"{self.type}: the input is {format_shape(shape)}, but a tree of {wanted} classes "
                f"needs [N, {wanted}]"
            )
        return shape

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        ends = self.tree.ends
        held = stream.store.pack(("Darknet.groups", ends.tobytes()), lambda: ends)
        if stream.device == "cuda":
            from . import anchor_cuda

            anchor_cuda.record_softmax(
                inputs[0], outputs[0], held, len(ends), stream, factor=1 / self.temperature
            )
            return
        images, classes = inputs[0].shape
        stream.launch(
            kernel("yolo_softmax_planes"), inputs[0], outputs[0], held, images, classes, 1, 0,
            len(ends), 1 / self.temperature,
        )  # fmt: skip

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [self.tree.softmax(inputs[0] / np.float32(self.temperature), axis=1)]

    def probabilities(self, values: Array, *, leaves_only: bool = True) -> Array:
        """Absolute probabilities from the output [..., classes], as Darknet's classifier takes
        them: 0 for classes that have kinds of their own, unless `leaves_only` is False."""
        absolute = self.tree.absolute(values)
        if leaves_only:
            absolute[..., ~self.tree.leaves] = 0
        return absolute

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        values = np.random.default_rng(0).standard_normal((2, 8), np.float32)
        parents = (-1, -1, 1, 1, 1, 0, 0, 6)
        return [
            {"inputs": [values], "attributes": {"parents": parents}},
            {"inputs": [values], "attributes": {"parents": parents, "temperature": 2.5}},
        ]
