"""Layers beside each other in one captured graph.

A captured stream has an end: the nodes that what comes next depends on. It is set anew before
each layer, so that the graph has the edges that its layers need and no others; no streams or
events are in between. Layers that launch nothing, such as views, leave nothing to wait for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...memory.lanes import members
from .captured_nodes import captured, continue_behind
from .events import DeviceStream


@dataclass
class _Layer:
    """A layer that was recorded."""

    stands_for: int
    """A mask of the layers to be waited for in its place: itself, if it launches something."""

    behind: int = 0
    """A mask of all layers that are done when it begins."""

    ends: list[Any] = field(default_factory=list)
    """The nodes that those who follow depend on."""


class Branches:
    """The layers since the stream was last one line."""

    def __init__(self) -> None:
        self._start: list[Any] = []
        self._layers: list[_Layer] = []
        self._given: frozenset[int] = frozenset()

    def begin(self, stream: DeviceStream, after: Sequence[int] | None) -> None:
        """Begin a layer behind those at the positions `after`, None for all of them."""
        if after is None:
            self.join(stream)
            return
        if self._layers:
            self._close(stream)
        else:
            self._start = captured(stream)[1]
        wanted = 0
        for position in after:
            wanted |= self._layers[position].stands_for
        wanted = self._needed(wanted)
        behind = wanted
        for position in members(wanted):
            behind |= self._layers[position].behind
        self._continue(stream, wanted)
        self._layers.append(_Layer(1 << len(self._layers), behind))

    def join(self, stream: DeviceStream) -> None:
        """Make one line of it again: what follows waits for all layers."""
        if self._layers:
            self._close(stream)
            everything = 0
            for layer in self._layers:
                everything |= layer.stands_for
            self._continue(stream, self._needed(everything))
            self._layers.clear()

    def restart(self) -> None:
        """A new graph begins within the layer that is open, which waited for all others."""
        for layer in self._layers:
            layer.stands_for = layer.behind = 0
        self._start, self._given = [], frozenset()

    def _close(self, stream: DeviceStream) -> None:
        """Note where the layer that is open has ended."""
        open_one = self._layers[-1]
        ends = captured(stream)[1]
        if frozenset(map(int, ends)) == self._given:
            open_one.stands_for = open_one.behind and self._needed(open_one.behind)
        else:
            open_one.stands_for = 1 << (len(self._layers) - 1)
            open_one.ends = ends

    def _needed(self, wanted: int) -> int:
        """Without those that are waited for by way of others."""
        behind = 0
        for position in members(wanted):
            behind |= self._layers[position].behind
        return wanted & ~behind

    def _continue(self, stream: DeviceStream, wanted: int) -> None:
        ends = [node for k in members(wanted) for node in self._layers[k].ends]
        nodes = list({int(node): node for node in ends or self._start}.values())
        continue_behind(stream, nodes)
        self._given = frozenset(map(int, nodes))
