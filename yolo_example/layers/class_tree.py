"""Trees of classes, as in YOLO9000: every class is a kind of its parent.

Source: Redmon and Farhadi, YOLO9000 (arXiv:1612.08242), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plugrt.plugins import Array, attribute

from .reference_functions import softmax

ROOT = -1


def tree_fault(parents: Sequence[int]) -> tuple[int, str] | None:
    """The first class at which these are not the parents of a tree, and why; else None.

    Parents come before their children, and the children of a class are neighbours.
    """
    finished = set()
    for index, parent in enumerate(parents):
        if not ROOT <= parent < index:
            return index, f"its parent {parent} is neither {ROOT} nor a class before it"
        if index and parent != parents[index - 1]:
            finished.add(parents[index - 1])
        if parent in finished:
            return index, f"it does not follow the other children of its parent {parent}"
    return None


def parents_attribute(doc: str, *, required: bool) -> attribute[tuple[int, ...]]:
    """An attribute that holds a tree as every class's parent."""
    default: dict[str, Any] = {} if required else {"default": ()}
    return attribute(
        tuple[int, ...],
        doc=doc,
        allowed=lambda parents: tree_fault(parents) is None and (not required or bool(parents)),
        rule="-1 for roots, else an earlier class; children of one class side by side",
        **default,
    )


@dataclass(frozen=True)
class ClassTree:
    """A tree by its parents, int32 [classes], and what follows from them.

    `ends` int32 [groups]: group k, the children of one class, ends before this class; group 0
    holds the roots. `children` int32 [classes]: the group of each class's children, or -1.
    """

    parents: Array
    ends: Array
    children: Array

    @classmethod
    def of(cls, parents: Sequence[int]) -> ClassTree:
        """The tree of these parents, in which `tree_fault` finds none."""
        of_class = np.asarray(parents, np.int32)
        begins = np.flatnonzero(np.diff(of_class, prepend=np.int32(ROOT - 1)))
        ends = np.append(begins[1:], len(of_class)).astype(np.int32)
        children = np.full(len(of_class), -1, np.int32)
        children[of_class[begins[1:]]] = np.arange(1, len(begins))
        return cls(of_class, ends, children)

    @property
    def leaves(self) -> Array:
        """Which classes have no children, bool [classes]."""
        return self.children < 0

    def softmax(self, values: Array, axis: int) -> Array:
        """Softmax over every group: probabilities given the parent."""
        groups = np.split(values, self.ends[:-1], axis=axis)
        return np.concatenate([softmax(group, axis) for group in groups], axis=axis)

    def absolute(self, conditional: Array) -> Array:
        """Probabilities given the parent, [..., classes], times those of all classes above."""
        result = np.array(conditional)
        begin = int(self.ends[0])
        for end in self.ends[1:]:
            result[..., begin:end] *= result[..., self.parents[begin], np.newaxis]
            begin = int(end)
        return result
