"""A network whose layers are all twins is, but for the types' names, the same engine."""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from plugrt import (
    BuilderConfig,
    Engine,
    Network,
    PluginError,
    Registry,
    Tensor,
    TimingCache,
    build,
)
from plugrt.core.builder.network_timer import SEPARATOR
from plugrt.core.devices.cpu import CpuDevice
from plugrt.plugins import Array, Quantization

WANTED = {
    "Add", "AveragePooling", "Concatenation", "Convolution", "Darknet.Yolo", "LeakyReLU",
    "MaxPooling", "Mish", "Sum",
}  # fmt: skip

IMAGE = (3, 64, 64)


def detector(registry: Registry) -> Network:
    """A small detector with a layer of every type that has a twin."""
    random = np.random.default_rng(0)
    network = Network("detector", registry)
    image = network.add_input("image", "float32", ["N", *IMAGE])

    def add(type: str, *inputs: Any, **attributes: Any) -> Tensor:
        name = f"{len(network.layers):02d}_{type}"
        return network.add_layer(type, inputs, name=name, **attributes).output

    def convolution(
        source: Tensor, filters: int, size: int = 3, stride: int = 1, groups: int = 1,
        slope: float = 0.1,
    ) -> Tensor:  # fmt: skip
        channels = int(source.shape[1]) // groups  # type: ignore[arg-type]
        weights = random.standard_normal((filters, channels, size, size), np.float32)
        weights /= np.float32(np.sqrt(channels * size * size))
        bias = random.standard_normal(filters).astype(np.float32)
        window = {"strides": (stride, stride), "padding": (size // 2,) * 4, "groups": groups}
        result = add("Convolution", source, weights, bias, **window)
        statistics = [random.uniform(0.5, 2, filters).astype(np.float32) for _ in range(4)]
        result = add("BatchNormalization", result, *statistics)
        return add("LeakyReLU", result, slope=slope) if slope else result

    stem = convolution(image, 16, stride=2)
    wide = convolution(stem, 32, size=1)
    deep = convolution(wide, 32, groups=32)
    narrow = convolution(deep, 16, size=1, slope=0)
    x = convolution(add("Add", narrow, stem), 32, stride=2)
    pooled = [x, *(add("MaxPooling", x, kernel=(n, n), padding=(n // 2,) * 4) for n in (3, 5))]
    pooled.append(add("AveragePooling", x, kernel=(3, 3), padding=(1,) * 4))
    pyramid = add("Concatenation", *pooled)
    terms = (convolution(pyramid, 32, size=1, slope=slope) for slope in (0, 0.2, 0.1))
    total = add("Mish", add("Sum", *terms))
    head = convolution(add("Concatenation", total, convolution(total, 16)), 14, size=1, slope=0)
    anchors = {"classes": 2, "anchors": (10, 13, 16, 30), "image_size": IMAGE[1:]}
    network.mark_output(add("Darknet.Yolo", head, **anchors), "boxes")
    network.mark_output(add("Add", x, pooled[1]), "both")
    return network


@dataclass
class Outcome:
    """What an engine is and does, types' names apart."""

    outputs: dict[str, Array]
    layers: list[tuple[str, str, tuple[str, ...]]]
    """Name, tactic, names of fused layers."""
    tensors: dict[str, tuple[str, str, Quantization | None]]
    """Type, format and quantization of every tensor."""
    aliasing: list[tuple[str, frozenset[int], frozenset[int], int | None]]
    commands: int
    arena: int


def outcome(engine: Engine, batch: int) -> Outcome:
    """Run once, and describe the engine at these shapes."""
    network = engine.planned.network
    image = np.random.default_rng(1).standard_normal((batch, *IMAGE), np.float32)
    with engine.create_context(threads=2) as context:
        outputs = context.execute({"image": image})
        recording = context.recording({"image": image.shape})
        commands, arena = recording.commands, recording.plan.arena_size
    layers = [(x.name, x.plugin.tactic.name, tuple(x.fused)) for x in network.layers]
    tensors = {
        t.name: (t.dtype.value, t.format.value, t.quantization) for t in network.tensors.values()
    }
    aliasing = [
        (layer.name, found.slices, found.views, found.in_place)
        for layer, found in engine.planned.aliasing.items()
    ]
    return Outcome(outputs, layers, tensors, aliasing, commands, arena)


def assert_same(built_in: Outcome, twin: Outcome) -> None:
    """Everything is equal, the outputs bit by bit."""
    assert twin.layers == built_in.layers
    assert twin.tensors == built_in.tensors
    assert twin.aliasing == built_in.aliasing
    assert twin.commands == built_in.commands
    assert twin.arena == built_in.arena
    for name, array in built_in.outputs.items():
        np.testing.assert_array_equal(twin.outputs[name].view(np.uint32), array.view(np.uint32))


def types(engine: Engine) -> set[str]:
    """Types of all layers."""
    return {plugin.type for plugin in engine.layers.values()}


def test_every_wanted_type_has_a_twin(twins: dict[str, str]) -> None:
    assert set(twins) == WANTED


def test_twins_are_accepted_as_substitutes(registry: Registry, twins: dict[str, str]) -> None:
    local = Registry(registry)
    for original, twin in twins.items():
        with local.substitute(original, by=twin):
            assert local.layer(original).type == twin
        assert local.layer(original).type == original


def test_denied_layers_cannot_slip_in(taken_over: Registry, twins: dict[str, str]) -> None:
    local = Registry(taken_over)
    for original, twin in twins.items():
        with local.deny(twin), pytest.raises(PluginError, match=f"{twin}' is denied"):
            local.layer(original)


@pytest.mark.parametrize("batch", [1, 3])
def test_by_rules_both_engines_are_the_same(
    registry: Registry, taken_over: Registry, twins: dict[str, str], batch: int
) -> None:
    config = BuilderConfig(tune="off", threads=2, max_batch_size=batch)
    with build(detector(registry), config) as engine:
        assert not types(engine) & set(twins.values())
        built_in = outcome(engine, batch)
    with build(detector(taken_over), config) as engine:
        assert not types(engine) & set(twins)
        twin = outcome(engine, batch)
    assert_same(built_in, twin)


class InventedTimes(dict[str, float]):
    """A timing cache's times in which each key has one, the same for a type and its twin."""

    def __init__(self, twins: dict[str, str], seed: int) -> None:
        super().__init__({"": 0.0})
        self._originals = {twin: original for original, twin in twins.items()}
        self._seed = seed

    def get(self, key: str, default: Any = None) -> float:
        parts = [part.partition("/") for part in key.split(SEPARATOR)]
        plain = [f"{self._originals.get(name, name)} {rest}" for name, _, rest in parts]
        words = f"{self._seed} {' '.join(plain)}"
        return (1 + crc32(words.encode()) % 50) * 1e-6


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_by_one_timing_cache_both_engines_are_the_same(
    registry: Registry, taken_over: Registry, twins: dict[str, str], seed: int
) -> None:
    """Whatever the times are and lead to: other tactics and formats, slices kept dense."""
    cache = TimingCache(CpuDevice().fingerprint())
    cache.seconds = InventedTimes(twins, seed)
    config = BuilderConfig(threads=2, timing_cache=cache)
    with build(detector(registry), config) as engine:
        built_in = outcome(engine, 1)
    with build(detector(taken_over), config) as engine:
        twin = outcome(engine, 1)
    assert len(cache.seconds) == 1  # nothing was measured
    assert_same(built_in, twin)


def test_fusions_and_slices_are_really_there(taken_over: Registry) -> None:
    """Equality would be cheap if nothing was ever fused or aliased."""
    with build(detector(taken_over), BuilderConfig(tune="off", threads=2)) as engine:
        found = outcome(engine, 1)
    fused = [name.partition("_")[2] for _, _, names in found.layers for name in names]
    assert fused.count("LeakyReLU") == 7
    assert fused.count("Add") == 1
    assert fused.count("Mish") == 1
    slices = [indices for name, indices, _, _ in found.aliasing if "Concatenation" in name]
    assert any(slices)
    assert any(in_place is not None for *_, in_place in found.aliasing)
