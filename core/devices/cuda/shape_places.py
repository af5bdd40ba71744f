"""What a context on a GPU keeps for one set of input shapes."""

from __future__ import annotations

from collections import OrderedDict

from ...runtime.shape_recording import ShapeRecording
from .endpoints import Endpoint

PATIENCE = 4
"""Calls in a row with addresses never seen, after which arrays are copied to fixed ones."""

MAXIMUM_ADDRESSES = 7
"""Sets of callers' addresses that are remembered; a recording keeps one more."""


class ShapePlaces:
    """Fixed places, and a recording for each way to hand arrays over."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.inputs: list[Endpoint] = []
        self.outputs: list[Endpoint] = []
        self.recordings: dict[str, ShapeRecording] = {}
        self._known: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._misses = 0

    def are_known(self, mode: str, addresses: tuple[int, ...]) -> bool:
        """Whether callers' addresses may become part of a graph: each new set costs a capture, so
        not where they change with every call."""
        key = (mode, addresses)
        if key in self._known:
            self._misses = 0
            self._known.move_to_end(key)
            return True
        self._misses += 1
        if self._misses > PATIENCE:
            return False
        self._known[key] = None
        if len(self._known) > MAXIMUM_ADDRESSES:
            self._known.popitem(last=False)
        return True
