"""Options of a build: profiles and batch sizes are enforced, nonsense is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import (
    BuilderConfig,
    Engine,
    LayerPlugin,
    Network,
    PluginError,
    PlugrtError,
    Registry,
    ShapeError,
    ShapeProfile,
)
from plugrt.plugins import Shape, TensorDesc, floor_div

Build = Callable[..., Engine]


class Witness(LayerPlugin):
    """x, noting what `configure` was told."""

    type = "Test.Witness"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def configure(self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> None:
        desc = inputs[0]
        assert outputs[0].shape == desc.shape
        told[:] = [desc.min_shape, desc.shape, desc.max_shape]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0]


told: list[Any] = []


@pytest.fixture
def dynamic(network: Network) -> Network:
    x = network.add_input("x", "float32", ["N", 3, "H"])
    network.mark_output(network.add_layer(Witness(), [x], name="y").output)
    return network


def accepts(engine: Engine, *shape: int) -> bool:
    with engine.create_context() as context:
        try:
            result = context.execute({"x": np.ones(shape, np.float32)})
        except ShapeError as error:
            return "the engine was built for" not in str(error)
        assert result["y"].shape == shape
        return True


def test_profiles_are_enforced(dynamic: Network, quick_build: Build) -> None:
    profile = ShapeProfile((2, 3, 8), (4, 3, 16), (6, 3, 16))
    engine = quick_build(dynamic, profiles={"x": profile})
    assert told == [profile.minimum, profile.optimum, profile.maximum]
    assert engine.info.profiles == {"H": (8, 16, 16), "N": (2, 4, 6)}
    assert accepts(engine, 2, 3, 8)
    assert accepts(engine, 6, 3, 16)
    for shape in ((1, 3, 8), (7, 3, 8), (2, 3, 7), (2, 3, 17), (0, 3, 8)):
        assert not accepts(engine, *shape)
    with Engine.from_bytes(engine.to_bytes(), Registry.of(Witness)) as loaded:
        assert accepts(loaded, 2, 3, 8)
        assert not accepts(loaded, 1, 3, 8)


def test_batch_sizes(dynamic: Network, quick_build: Build) -> None:
    engine = quick_build(dynamic, max_batch_size=8)
    assert told == [(1, 3, 1), (8, 3, 1), (8, 3, 1)]
    assert accepts(engine, 1, 3, 5)
    assert accepts(engine, 8, 3, 1)
    assert not accepts(engine, 9, 3, 1)
    assert not accepts(engine, 0, 3, 1)


def test_a_profile_goes_before_the_batch_size(dynamic: Network, quick_build: Build) -> None:
    profile = ShapeProfile((1, 3, 4), (2, 3, 4), (3, 3, 4))
    engine = quick_build(dynamic, max_batch_size=8, profiles={"x": profile})
    assert engine.info.profiles["N"] == (1, 2, 3)


def test_without_either_any_size_runs(dynamic: Network, quick_build: Build) -> None:
    engine = quick_build(dynamic)
    assert engine.info.profiles == {}
    for shape in ((1, 3, 1), (50, 3, 2), (0, 3, 4)):
        assert accepts(engine, *shape)


@pytest.mark.parametrize(
    ("profiles", "message"),
    [
        ({"z": ShapeProfile((1,), (1,), (1,))}, "input 'z'; the network has: x"),
        ({"x": ShapeProfile((2, 3, 1), (1, 3, 1), (4, 3, 1))}, "2x3x1 is not within 1x3x1"),
        ({"x": ShapeProfile((1, 3, 1), (1, 3, 1), (4, 3))}, "1x3x1 is not within 4x3"),
        ({"x": ShapeProfile((1, 3), (1, 3), (4, 3))}, "'x' has shape 1x3; expected Nx3xH"),
        ({"x": ShapeProfile((1, 4, 1), (1, 4, 1), (4, 4, 1))}, "1x4x1; expected Nx3xH"),
        ({"x": ShapeProfile((-1, 3, 1), (1, 3, 1), (4, 3, 1))}, "is negative"),
    ],
)
def test_profiles_that_do_not_fit(
    dynamic: Network, quick_build: Build, profiles: Any, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        quick_build(dynamic, profiles=profiles)


def test_profiles_that_contradict_each_other(network: Network, quick_build: Build) -> None:
    total = [network.add_input(name, "float32", ["N"]) for name in "ab"]
    network.mark_output(network.add_add(*total).output)
    profiles = {name: ShapeProfile((1,), (2,), (high,)) for name, high in (("a", 4), ("b", 5))}
    with pytest.raises(ShapeError, match=r"input 'b': size N is 1 to 5, best 2; another .* 1 to 4"):
        quick_build(network, profiles=profiles)


def test_sizes_at_which_a_layer_cannot_work(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", ["N", 1, "H", "H"])
    network.mark_output(network.add_max_pooling(x, kernel=(3, 3), name="pool").output, "y")
    message = r"layer 'pool' .*H = 1.*give a ShapeProfile"
    with pytest.raises(ShapeError, match=message):
        quick_build(network)
    engine = quick_build(
        network, profiles={"x": ShapeProfile((1, 1, 3, 3), (1, 1, 8, 8), (2, 1, 9, 9))}
    )
    with engine.create_context() as context:
        found = context.execute({"x": np.ones((2, 1, 5, 5), np.float32)})
    assert found["y"].shape == (2, 1, 3, 3)


def test_sizes_that_only_the_call_shows_to_be_wrong(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", ["N", "H"])
    y = network.add_input("y", "float32", ["N", "W"])
    network.mark_output(network.add_add(x, y, name="sum").output)
    with quick_build(network).create_context() as context:
        for width in (3, 1):
            feeds = {"x": np.ones((2, 3), np.float32), "y": np.ones((2, width), np.float32)}
            np.testing.assert_array_equal(context.execute(feeds)["sum"], np.full((2, 3), 2))
        with pytest.raises(ShapeError, match=r"layer 'sum' \(Add\).*2x3 and 2x5 do not broadcast"):
            context.execute({"x": np.ones((2, 3)).astype(np.float32),
                             "y": np.ones((2, 5)).astype(np.float32)})  # fmt: skip


class TwoFaced(LayerPlugin):
    """Halves symbols by floor and numbers by rounding up."""

    type = "Test.TwoFaced"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        (size,) = inputs[0].shape
        return (-(-size // 2) if isinstance(size, int) else floor_div(size, 2),)


def test_shape_rules_hold_for_numbers_too(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", ["N"])
    network.mark_output(network.add_layer(TwoFaced(), [x], name="half").output)
    with pytest.raises(PluginError, match=r"'half' \(Test.TwoFaced\): getOutputDimensions\(\)"):
        quick_build(network)
    quick_build(network, profiles={"x": ShapeProfile((2,), (4,), (8,))})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"precision": "fp4"},
            "'fp4' is not available; use fp32, tf32, bf16, fp16, int8, fp8 or best",
        ),
        ({"tune": "slow"}, "tune='slow'"),
        ({"threads": 0}, "threads=0"),
        ({"max_batch_size": 0}, "max_batch_size=0"),
        ({"max_workspace_size": -1}, "max_workspace_size=-1 is negative"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PlugrtError, match=message):
        BuilderConfig(**options)


def test_threads(dynamic: Network, quick_build: Build) -> None:
    engine = quick_build(dynamic, threads=3)
    assert engine.info.threads == 3
    assert engine.create_context().threads == 3
    assert engine.create_context(1).threads == 1
    assert BuilderConfig().threads >= 1


def test_a_network_without_outputs(network: Network, quick_build: Build) -> None:
    network.add_input("x", "float32", [1])
    with pytest.raises(ShapeError, match=r"network 'test' has no output; call mark_output"):
        quick_build(network)
