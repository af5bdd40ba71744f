"""Memory of weights: tactics that grow them, and the plain form of packed ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, LayerPlugin, Network, PlugrtError, Registry
from plugrt.plugins import Combination, Format, Shape, Tactic, TacticRequest, TensorDesc
from plugrt.plugins.expression import Input
from plugrt.plugins.native import pointwise

Build = Callable[..., Engine]


class Doubled(LayerPlugin):
    """x + 2 * weights, the weights packed as their double; `grown` ways say that they grow."""

    type = "Test.Doubled"
    input_names = ("x", "weights")
    recordable = True
    offered: tuple[tuple[str, float], ...] = (("grown", 4.0), ("less grown", 1.78), ("plain", 1.0))

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def supportsFormat(self, combination: Combination) -> bool:
        return all(d.format is Format.LINEAR for d in combination.inputs)

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        best = len(self.offered)
        return [
            Tactic(name, weight_growth=growth, priority=best - k)
            for k, (name, growth) in enumerate(self.offered)
        ]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        weights = inputs[1]
        packed = stream.store.pack(("doubled", weights.digest), lambda: weights.desc.value * 2)
        pointwise.record(stream, Input(0) + Input(1), [inputs[0], packed], outputs[0])


def doubled(network: Network, count: int) -> Network:
    x = network.add_input("x", "float32", [count])
    weights = np.arange(count, dtype=np.float32)
    network.mark_output(network.add_layer(Doubled(), [x, weights], name="y").output)
    return network


@pytest.mark.parametrize(
    ("offered", "normal", "low"),
    [
        (Doubled.offered, "grown", "plain"),
        (Doubled.offered[:2], "grown", "less grown"),  # nothing else is left
        ((("padded", 1.04), ("plain", 1.0)), "padded", "padded"),
    ],
)
def test_low_memory_leaves_out_tactics_that_grow_weights(
    network: Network, quick_build: Build, monkeypatch: pytest.MonkeyPatch,
    offered: Any, normal: str, low: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(Doubled, "offered", offered)
    doubled(network, 8)
    for memory, wanted in (("normal", normal), ("low", low)):
        engine = quick_build(network, memory=memory)
        assert engine.layers["y"].tactic.name == wanted
    with pytest.raises(PlugrtError, match="memory='huge' is not available; use normal or low"):
        quick_build(network, memory="huge")


def resident(path: Path) -> int:
    """Bytes of a mapped file in this process's memory."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


def test_weights_are_in_memory_in_one_form_only(
    network: Network, quick_build: Build, tmp_path: Path
) -> None:
    count = 4 << 20
    path = tmp_path / "doubled.plan"
    quick_build(doubled(network, count)).save(path)
    with Engine.load(path, Registry.of(Doubled)) as engine, engine.create_context() as context:
        assert resident(path) <= 2 << 20  # what checksums have read
        weights = engine.planned.network.layers[0].inputs[1]
        assert weights is not None
        expected = 1 + 2 * np.arange(count, dtype=np.float32)
        for _ in range(2):
            result = context.execute({"x": np.ones(count, np.float32)})["y"]
            np.testing.assert_array_equal(result, expected)
            assert resident(path) <= 2 << 20  # one huge page with the biases' neighbours
        assert engine.packed_bytes == count * 4
        # What left memory is read again where somebody needs it.
        np.testing.assert_array_equal(weights.value, np.arange(count, dtype=np.float32))
        assert resident(path) >= count * 4
