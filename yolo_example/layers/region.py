"""The [region] layer of YOLOv2 and YOLO9000."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from plugrt.plugins import Array, ShapeError, attribute

from .anchor_layer import COPY, LOGISTIC, AnchorLayer, Planes
from .class_tree import ClassTree, parents_attribute
from .detection_layer import COORDINATES
from .native_cells import NativeTree


class Region(AnchorLayer):
    """[N, anchors * (coords + 1 + classes), height, width]: of every anchor the centre in the
    cell, width and height, what else `coords` counts, objectness, and the classes. Logistic
    centre and objectness, classes by softmax or logistic; anchors in cells.

    With `parents` the classes form a tree: softmax over the children of each class. Then a box
    has one class, the most specific one that is likely enough, as in Darknet: the likeliest
    child again and again, while the product of the probabilities passed, each of which already
    contains its parents', exceeds `hier_thresh`. Its score is the objectness. With `map` too,
    scores are those of these classes of the tree: objectness times probability.

    With `background`, another class comes first and takes the place of the objectness, which is
    1 everywhere.

    Source: Redmon and Farhadi, YOLO9000 (arXiv:1612.08242).
    """

    type = "Darknet.Region"

    softmax = attribute(bool, True, "classes by softmax; else each by the logistic function")
    threshold = attribute(float, 0.5, "score threshold that the definition recommends")
    coords = attribute(
        int, COORDINATES, "numbers that describe a box; only the first four are its place",
        allowed=lambda count: count >= COORDINATES, rule="4 or more",
    )  # fmt: skip
    background = attribute(bool, False, "a class of its own in place of the objectness")
    parents = parents_attribute("the parent of every class, where they form a tree", required=False)
    map: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...],
        (),
        "which classes of the tree to find; none given means all",
        allowed=lambda classes: all(index >= 0 for index in classes),
        rule="indices from 0",
    )
    hier_thresh = attribute(
        float, 0.5, "how probable the most specific class must be",
        allowed=lambda value: 0 <= value <= 1, rule="0 to 1",
    )  # fmt: skip

    @property
    def anchor_count(self) -> int:
        return len(self.anchors) // 2

    @cached_property
    def tree(self) -> ClassTree | None:
        """The tree of the classes, if they form one."""
        return ClassTree.of(self.parents) if self.parents else None

    @property
    def planes(self) -> Planes:
        classes = len(self.parents) or self.classes
        count = self.coords + 1 + classes
        centre: tuple[tuple[int, int], ...] = ((2, LOGISTIC), (self.coords, COPY))
        if self.background:
            objectness, after = -1, (self.coords + 1, COPY)
        else:
            objectness, after = self.coords, (self.coords + 1, LOGISTIC)
        first = self.coords + 1
        if self.tree is not None:
            groups = tuple(self.tree.ends.tolist())
            return Planes(count, objectness, first, (*centre, after), first, groups)
        if not self.softmax:
            return Planes(count, objectness, first, (*centre, after, (count, LOGISTIC)))
        if self.background:
            return Planes(count, objectness, first, centre, self.coords, (1 + classes,))
        return Planes(count, objectness, first, (*centre, after), first, (classes,))

    def check_attributes(self) -> None:
        if self.map and not self.parents:
            raise ShapeError(f"{self.type}: map is for classes in a tree; give parents too")
        if self.parents and self.background:
            raise ShapeError(f"{self.type}: background and a tree exclude each other; drop one")
        labels = len(self.map) or len(self.parents) or self.classes
        if labels != self.classes:
            raise ShapeError(
                f"{self.type}: classes={self.classes}, but the {'map' if self.map else 'tree'} "
                f"has {labels}"
            )
        if self.map and max(self.map) >= len(self.parents):
            raise ShapeError(
                f"{self.type}: map names class {max(self.map)} of a tree of {len(self.parents)}"
            )

    def relative_sizes(self, height: int, width: int) -> Array:
        sizes = np.asarray(self.anchors, np.float32).reshape(-1, 2)
        return sizes / np.asarray([width, height], np.float32)

    def native_tree(self) -> NativeTree | None:
        if self.tree is None:
            return None
        return NativeTree(self.tree, self.map, self.hier_thresh)

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        values = np.random.default_rng(0).standard_normal((2, 16, 5, 6), np.float32)
        sizes = {"classes": 2, "anchors": (1.5, 2.5, 3.0, 1.0)}
        tree = {"anchors": (1.5, 2.5), "classes": 5, "parents": (-1, -1, 0, 0, 3)}
        return [
            {"inputs": [values[:, :14]], "attributes": sizes},
            {"inputs": [values[:, :14]], "attributes": {**sizes, "softmax": False}},
            {"inputs": [values], "attributes": {**sizes, "coords": 5}},
            {"inputs": [values[:, :14]], "attributes": {**sizes, "background": True}},
            {
                "inputs": [values[:, :14]],
                "attributes": {**sizes, "background": True, "softmax": False},
            },
            {"inputs": [values[:, :10]], "attributes": tree},
            {"inputs": [values[:, :10]], "attributes": {**tree, "classes": 2, "map": (4, 1)}},
        ]
