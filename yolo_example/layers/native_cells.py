"""The structs of boxes.h, each with the memory that it points at."""

from __future__ import annotations

from typing import Any

import numpy as np

from plugrt.plugins import Array

from .._kernels import ffi
from .class_tree import ClassTree


class NativeTree:
    """A `yolo_tree`. `chosen` are the classes of interest, none for all; `least` is how probable
    a class must be for its children to count."""

    def __init__(self, tree: ClassTree, chosen: tuple[int, ...], least: float) -> None:
        self._arrays = {"parents": tree.parents, "children": tree.children, "ends": tree.ends}
        if chosen:
            self._arrays["map"] = np.asarray(chosen, np.int32)
        buffers = {
            name: ffi.from_buffer("int32_t[]", array.data) for name, array in self._arrays.items()
        }
        self.pointer: Any = ffi.new(
            "yolo_tree *", {**buffers, "mapped": len(chosen), "least": least}
        )
        self._scratch_size = len(tree.parents) if chosen else 0

    def scratch(self) -> Any:
        """The memory that `yolo_decode_cells` wants for a call."""
        return ffi.new("float[]", self._scratch_size) if self._scratch_size else ffi.NULL


class NativeCells:
    """A `yolo_cells`: `sizes` float32 [anchors, 2] are those of the anchors, relative to the
    picture; `numbers` are the struct's other fields."""

    def __init__(self, sizes: Array, tree: NativeTree | None, **numbers: float) -> None:
        self._sizes = np.ascontiguousarray(sizes, np.float32)
        self._tree = tree
        self.pointer: Any = ffi.new(
            "yolo_cells *",
            {
                **numbers,
                "anchors": len(self._sizes),
                "sizes": ffi.from_buffer("float[]", self._sizes.data),
                "tree": ffi.NULL if tree is None else tree.pointer,
            },
        )

    def scratch(self) -> Any:
        """The memory that `yolo_decode_cells` wants for a call."""
        return ffi.NULL if self._tree is None else self._tree.scratch()
