"""Executing: arrays in and out without copies, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from plugrt import DeviceError, Engine, LayerPlugin, Network, ShapeError
from plugrt.plugins import Shape, TensorDesc

Build = Callable[..., Engine]


class Spy(LayerPlugin):
    """x + y, remembering the addresses it sees."""

    type = "Test.Spy"
    input_names = ("x", "y")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        seen[:] = [array.ctypes.data for array in (*inputs, *outputs)]
        outputs[0][...] = inputs[0] + inputs[1]


seen: list[int] = []


@pytest.fixture
def engine(network: Network, quick_build: Build) -> Engine:
    x = network.add_input("x", "float32", ["N", 4])
    y = network.add_input("y", "float32", ["N", 4])
    network.mark_output(network.add_layer(Spy(), [x, y], name="sum").output)
    return quick_build(network)


@pytest.fixture
def feeds(rng: np.random.Generator) -> dict[str, Any]:
    return {name: rng.standard_normal((3, 4)).astype(np.float32) for name in "xy"}


def test_arrays_are_read_and_written_in_place(engine: Engine, feeds: Any) -> None:
    mine = np.empty((3, 4), np.float32)
    with engine.create_context() as context:
        for arrays in (feeds, {name: array.copy() for name, array in feeds.items()}):
            results = context.execute(arrays, {"sum": mine})
            assert results["sum"] is mine
            assert seen == [a.ctypes.data for a in (arrays["x"], arrays["y"], mine)]
        fresh = context.execute(feeds)["sum"]
        assert seen[2] == fresh.ctypes.data
        other = context.execute(feeds)["sum"]
        assert not np.may_share_memory(fresh, other)
        np.testing.assert_array_equal(fresh, feeds["x"] + feeds["y"])


def test_other_layouts_are_copied(engine: Engine, feeds: Any) -> None:
    x, y = feeds["x"], feeds["y"]
    unaligned = np.frombuffer(b"-" + y.tobytes(), np.float32, offset=1).reshape(3, 4)
    x.flags.writeable = False
    with engine.create_context() as context:
        for first, second in (
            (np.asfortranarray(x), y), (x[::-1][::-1], np.repeat(y, 2, 1)[:, ::2]), (x, unaligned)
        ):  # fmt: skip
            found = context.execute({"x": first, "y": second})["sum"]
            np.testing.assert_array_equal(found, x + y)


class Tensor:
    """Another library's tensor, as far as DLPack goes."""

    def __init__(self, array: Any, device: int = 1) -> None:
        self.array, self.device = array, device

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (self.device, 0)


def test_dlpack_in_and_out(engine: Engine, feeds: Any) -> None:
    with engine.create_context() as context:
        found = context.execute({"x": Tensor(feeds["x"]), "y": Tensor(feeds["y"])})["sum"]
        assert seen[:2] == [feeds["x"].ctypes.data, feeds["y"].ctypes.data]
        np.testing.assert_array_equal(np.from_dlpack(found), feeds["x"] + feeds["y"])
        target = np.empty((3, 4), np.float32)
        context.execute(feeds, {"sum": Tensor(target)})
        np.testing.assert_array_equal(target, feeds["x"] + feeds["y"])


def test_dlpack_of_another_device(engine: Engine, feeds: Any) -> None:
    class OnGpu(Tensor):
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("the memory is on another device")

    with (
        engine.create_context() as context,
        pytest.raises(DeviceError, match="input 'y': OnGpu cannot be read as CPU memory"),
    ):
        context.execute({"x": feeds["x"], "y": OnGpu(feeds["y"], device=2)})


GOOD = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"x": GOOD}, "input 'y' is missing; given: 'x'"),
        ({}, "input 'x' is missing; given: none"),
        ({"x": GOOD, "y": GOOD, "z": GOOD}, "unknown input 'z'; the engine has: 'x', 'y'"),
        ({"x": GOOD, "y": GOOD.astype(np.float64)}, "'y' has type float64; expected float32"),
        ({"x": GOOD, "y": GOOD.astype(">f4")}, "'y' has type >f4; expected float32"),
        ({"x": GOOD, "y": GOOD.tolist()}, "'y' has type float64"),
        ({"x": GOOD, "y": GOOD[:, :3]}, "'y' has shape 3x3; expected Nx4"),
        ({"x": GOOD, "y": GOOD[0]}, "'y' has shape 4; expected Nx4"),
        ({"x": GOOD, "y": GOOD[:2]}, "'y' has shape 2x4; expected Nx4 with N = 3"),
    ],
)
def test_wrong_inputs(engine: Engine, feeds: dict[str, Any], message: str) -> None:
    with engine.create_context() as context:
        with pytest.raises(ShapeError, match=message):
            context.execute(feeds)
        context.execute({"x": GOOD, "y": GOOD})  # still usable


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"total": GOOD}, "unknown output 'total'; the engine has: sum"),
        ({"sum": np.zeros((3, 5), np.float32)}, "'sum' needs .* float32 array of shape 3x4"),
        ({"sum": np.zeros((3, 4), np.int32)}, r"got int32 \(3, 4\)"),
        ({"sum": np.zeros((4, 3), np.float32).T}, "C-contiguous"),
        ({"sum": np.frombuffer(bytes(48), np.float32).reshape(3, 4)}, "writable"),
    ],
)
def test_wrong_outputs(engine: Engine, outputs: dict[str, Any], message: str) -> None:
    with engine.create_context() as context, pytest.raises(ShapeError, match=message):
        context.execute({"x": GOOD, "y": GOOD}, outputs)


def test_outputs_must_not_lie_in_inputs(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", [4])
    for name in ("a", "b"):
        network.mark_output(network.add_layer(Spy(), [x, x], name=name).output)
    memory = np.zeros(10, np.float32)
    feeds, free = {"x": memory[:4]}, np.zeros(4, np.float32)
    with quick_build(network).create_context() as context:
        with pytest.raises(ShapeError, match="output 'a' shares memory with input 'x'"):
            context.execute(feeds, {"a": memory[2:6]})
        with pytest.raises(ShapeError, match="output 'b' shares memory with output 'a'"):
            context.execute(feeds, {"a": free, "b": free})
        context.execute(feeds, {"a": memory[4:8], "b": free})


def test_scalars_and_extension_types(network: Network, quick_build: Build) -> None:
    scalar = network.add_input("scalar", "int64", [])
    half = network.add_input("half", "bfloat16", [2])
    network.mark_output(scalar, "s")
    network.mark_output(half, "h")
    feeds = {"scalar": np.array(-7), "half": np.array([1.5, -2], ml_dtypes.bfloat16)}
    with quick_build(network).create_context() as context:
        results = context.execute(feeds)
        assert results["s"].shape == ()
        assert int(results["s"]) == -7
        assert results["h"].dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(results["h"], feeds["half"])
        results = context.execute({**feeds, "scalar": 9})
        assert int(results["s"]) == 9


def test_inputs_and_constants_as_outputs(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", [4])
    constant = network.add_constant("c", np.arange(3))
    for tensor, name in ((x, "x1"), (x, "x2"), (constant, "c1")):
        network.mark_output(tensor, name)
    feeds = {"x": np.ones(4, np.float32)}
    with quick_build(network).create_context() as context:
        results = context.execute(feeds)
    for name, wanted in {"x1": feeds["x"], "x2": feeds["x"], "c1": np.arange(3)}.items():
        np.testing.assert_array_equal(results[name], wanted)
        assert not np.may_share_memory(results[name], wanted)
    assert not np.may_share_memory(results["x1"], results["x2"])
