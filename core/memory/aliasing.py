"""Deciding, once per build, which offers to share memory are taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..graph import Layer, Network
from .storage import Aliasing, StorageMap

SliceChoice = Callable[[Layer, int], bool]


def decide_aliasing(
    network: Network,
    profiles: Sequence[Mapping[str, int]],
    write_slices: SliceChoice = lambda layer, index: True,
) -> dict[Layer, Aliasing]:
    """Take every offer that is legal at all `profiles` sizes (least, best, most).

    `write_slices` tells whether writing input k of a layer straight into its slice pays.
    """
    agreed: dict[Layer, Aliasing] | None = None
    for sizes in profiles:
        allowed = agreed
        found: dict[Layer, Aliasing] = {layer: Aliasing() for layer in network.layers}

        def decide(
            layer: Layer, kind: str, index: int,
            allowed: dict[Layer, Aliasing] | None = allowed,
            found: dict[Layer, Aliasing] = found,
        ) -> bool:  # fmt: skip
            if allowed is not None and not permits(allowed[layer], kind, index):
                return False
            if kind == "slice" and not write_slices(layer, index):
                return False
            found[layer] = _with(found[layer], kind, index)
            return True

        StorageMap(network, sizes, decide)
        agreed = found
    return agreed or {}


def permits(aliasing: Aliasing, kind: str, index: int) -> bool:
    """Whether a decision includes this offer."""
    if kind == "in_place":
        return aliasing.in_place == index
    return index in (aliasing.slices if kind == "slice" else aliasing.views)


def _with(aliasing: Aliasing, kind: str, index: int) -> Aliasing:
    if kind == "in_place":
        return replace(aliasing, in_place=index)
    if kind == "slice":
        return replace(aliasing, slices=aliasing.slices | {index})
    return replace(aliasing, views=aliasing.views | {index})


__all__ = ["Aliasing", "decide_aliasing", "permits"]
