"""Decisions of a build for one layer as plain values: tactic, kernel, shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...plugins import Tactic
from ..graph import Layer
from ..memory import Aliasing
from .plain import indices, integer, optional, record, refuse, text

_PRIORITY = 2**31

_HOST = "host"
"""Stands for the kernel of a layer that runs on the host beside another device."""


@dataclass(frozen=True)
class LayerTuning:
    """What the build decided for a layer. `kernel` is a requirement's number, or None."""

    tactic: Tactic
    kernel: int | None
    aliasing: Aliasing
    on_host: bool = False


def encode_tuning(layer: Layer, kernel: int | None, aliasing: Aliasing) -> dict[str, Any]:
    """A layer's decisions."""
    tactic = layer.plugin.tactic
    return {
        "tactic": {
            "name": tactic.name,
            "strided_outputs": sorted(tactic.strided_outputs),
            "strided_inputs": sorted(tactic.strided_inputs),
            "may_alias": sorted(tactic.may_alias),
            "accumulates_into": tactic.accumulates_into,
            "priority": tactic.priority,
        },
        "kernel": _HOST if layer.on_host else kernel,
        "slices": sorted(aliasing.slices),
        "views": sorted(aliasing.views),
        "in_place": aliasing.in_place,
    }


def decode_tuning(value: Any, layer: Layer, what: str) -> LayerTuning:
    """Inverse of `encode_tuning`; every position is one of the layer's inputs or outputs.

    Raises PlanError naming the field.
    """
    inputs, outputs = len(layer.inputs), len(layer.outputs)
    tactic, kernel, slices, views, in_place = record(
        value, what, "tactic", "kernel", "slices", "views", "in_place"
    )
    aliasing = Aliasing(
        indices(slices, f"{what}.slices", inputs),
        indices(views, f"{what}.views", outputs),
        optional(in_place, f"{what}.in_place", lambda v, w: integer(v, w, 0, inputs - 1)),
    )
    on_host = kernel == _HOST
    return LayerTuning(
        _tactic(tactic, inputs, outputs, aliasing, f"{what}.tactic"),
        None if on_host else optional(kernel, f"{what}.kernel", integer),
        aliasing,
        on_host,
    )


def _tactic(value: Any, inputs: int, outputs: int, aliasing: Aliasing, what: str) -> Tactic:
    name, strided_outputs, strided_inputs, may_alias, accumulates_into, priority = record(
        value, what, "name", "strided_outputs", "strided_inputs", "may_alias",
        "accumulates_into", "priority",
    )  # fmt: skip
    if accumulates_into is not None and accumulates_into != aliasing.in_place:
        refuse(f"{what}.accumulates_into", accumulates_into, f"{aliasing.in_place} (in_place)")
    return Tactic(
        text(name, f"{what}.name"),
        indices(strided_outputs, f"{what}.strided_outputs", outputs),
        indices(strided_inputs, f"{what}.strided_inputs", inputs),
        indices(may_alias, f"{what}.may_alias", inputs),
        aliasing.in_place if accumulates_into is not None else None,
        integer(priority, f"{what}.priority", -_PRIORITY, _PRIORITY),
    )
