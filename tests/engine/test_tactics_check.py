"""Tactics of a loaded plan, against what the plug-ins offer here."""

from __future__ import annotations

from typing import Any

import pytest

from plugrt.core.engine.plan import (
    EngineInfo,
    read_plan,
    revalidate_tactics,
)
from plugrt.core.runtime.planned import PlannedNetwork
from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    LayerPlugin,
    PlanError,
    Tactic,
    TacticRequest,
)


def retold(plan: bytes, registry: Registry, **change: Any) -> tuple[PlannedNetwork, EngineInfo]:
    """A plan read by a registry whose Test.Affine has these members."""
    planned, info = read_plan(plan, registry)
    for layer in planned.network.layers:
        if layer.plugin.type == "Test.Affine":
            layer.plugin.__dict__.update({k: v.__get__(layer.plugin) for k, v in change.items()})
    return planned, info


def test_tactics_that_are_still_offered_stay(registry: Registry, small_plan: bytes) -> None:
    planned, info = read_plan(small_plan, registry)
    before = [layer.plugin.tactic for layer in planned.network.layers]
    assert revalidate_tactics(planned, registry, False, info) == []
    assert [layer.plugin.tactic for layer in planned.network.layers] == before
    (note,) = revalidate_tactics(planned, registry, True, info)
    assert "another machine" in note


def test_another_tactic_takes_the_place_of_a_missing_one(
    registry: Registry, small_plan: bytes
) -> None:
    configured: list[tuple[Any, ...]] = []

    def offers(self: LayerPlugin, request: TacticRequest) -> list[Tactic]:
        assert request.inputs[0].shape == (4, 3)
        return [Tactic("slow"), Tactic("fast", priority=1), Tactic("hasty", priority=2,
                accumulates_into=1)]  # fmt: skip

    def configure(self: LayerPlugin, inputs: Any, outputs: Any) -> None:
        configured.append((outputs[0].min_shape, outputs[0].shape, outputs[0].max_shape))

    planned, info = retold(small_plan, registry, getTactics=offers, configure=configure)
    notes = revalidate_tactics(planned, registry, False, info)
    assert notes == [
        "left: tactic 'in place' is not offered here; 'fast' runs",
        "right: tactic 'in place' is not offered here; 'fast' runs",
    ]
    assert configured == [((1, 3), (4, 3), (4, 3))] * 2


def test_a_tactic_accepts_only_what_its_plugin_says(
    kit: Any, registry: Registry, small_plan: bytes
) -> None:
    def change(sections: dict[str, Any]) -> None:
        for layer in sections["tuning"][0]["layers"][:2]:
            layer["tactic"]["strided_inputs"] = [0, 1]
            layer["tactic"]["strided_outputs"] = [0]
            layer["tactic"]["may_alias"] = [0, 1]

    planned, info = read_plan(kit.forge(small_plan, change), registry)
    assert planned.network.layers[0].plugin.tactic.strided_outputs
    revalidate_tactics(planned, registry, False, info)
    honest, _ = read_plan(small_plan, registry)
    assert [layer.plugin.tactic for layer in planned.network.layers] == [
        layer.plugin.tactic for layer in honest.network.layers
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"supportsFormat": lambda self, combination: False}, "does not accept"),
        ({"getTactics": lambda self, request: ()}, "offers no tactic"),
        ({"getTactics": lambda self, request: 1 / 0}, "ZeroDivisionError"),
    ],
)
def test_a_layer_that_cannot_run_here_is_named(
    change: dict[str, Any], expected: str, registry: Registry, small_plan: bytes
) -> None:
    planned, info = retold(small_plan, registry, **change)
    with pytest.raises(PlanError, match=expected) as caught:
        revalidate_tactics(planned, registry, True, info)
    assert "layer 'left' (Test.Affine)" in str(caught.value)
