"""Sizes that only the data decide: segments, their variants, bounds, and when sizes are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import DataType, DeviceError, Engine, LayerPlugin, Network, ShapeError, Tensor
from plugrt.core.runtime.shape_recording import MAXIMUM_VARIANTS
from plugrt.plugins import Shape, TensorDesc, attribute, data_dependent

Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]


class Positive(LayerPlugin):
    """The positive elements of x [N] -> [rows, K], each row the same, and K; K may be wrong."""

    type = "Test.Positive"
    rows = attribute(int, 2, "rows of the output")
    surplus = attribute(int, 0, "what is added to the reported size")

    def getNbOutputs(self) -> int:
        return 2

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return () if index else (self.rows, data_dependent(inputs[0].shape[0], 1))

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return DataType.INT64 if index else inputTypes[0]

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        chosen = inputs[0][inputs[0] > 0]
        return [np.stack([chosen] * self.rows), np.array(len(chosen), np.int64)]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        chosen = inputs[0][inputs[0] > 0]
        outputs[0][...] = np.nan  # padding must never be seen
        outputs[0][:, : len(chosen)] = chosen
        outputs[1][...] = len(chosen) + self.surplus


class Dense(LayerPlugin):
    """2 x, in need of the real size."""

    type = "Test.Dense"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] * 2]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        assert not np.isnan(inputs[0]).any()
        calls.append(inputs[0].shape)
        outputs[0][...] = inputs[0] * 2


class Padded(Dense):
    """Takes padding: the sum of x, with the real size as a second input."""

    type = "Test.Padded"
    input_names = ("x", "size")
    acceptsPadded = True

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return (1,)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0].sum(dtype=np.float32).reshape(1)]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][0] = inputs[0][:, : int(inputs[1])].sum()


calls: list[Any] = []


def values(positive: int, total: int = 10) -> dict[str, Any]:
    rng = np.random.default_rng(positive)
    x = np.abs(rng.standard_normal(total)).astype(np.float32) + 0.1
    x[rng.permutation(total)[positive:]] *= -1
    return {"x": x}


def positive(network: Network, x: Tensor, name: str = "found", **options: Any) -> Any:
    return network.add_layer(Positive(**options), [x], name=name)


def test_segments_are_recorded_per_size(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", ["N"])
    found = positive(network, x)
    y = network.add_layer(Dense(), [found.outputs[0]], name="dense").output
    y = network.add_layer(Dense(), [y], name="again").output
    network.mark_output(y, "y")
    network.mark_output(found.outputs[1], "count")
    with quick_build(network).create_context() as context:
        recording = context.recording({"x": (10,)})
        assert [(s.first, s.last) for s in recording.segments] == [(0, 1), (1, 4)]
        for count in (4, 10, 0, 4, 7, 10, 4):
            calls.clear()
            feeds = values(count)
            results = context.execute(feeds)
            (wanted, size) = network.reference([feeds["x"]])
            np.testing.assert_allclose(results["y"], np.asarray(wanted))
            assert int(results["count"]) == int(np.asarray(size)) == count
            # Of no elements nothing is asked; else both get the real size, no padding.
            assert calls == ([(2, count)] * 2 if count else [])
        assert list(recording.segments[1].variants) == [(0,), (7,), (10,), (4,)]
        assert len(recording.segments[0].variants) == 1


def test_one_copy_makes_a_padded_tensor_dense(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", [10])
    y = positive(network, x).outputs[0]
    for k in range(3):
        y = network.add_layer(Dense(), [y], name=f"dense{k}").output
    network.mark_output(y, "y")
    names = [layer.name for layer in quick_build(network).planned.network.layers]
    assert names == ["found", "found.compact", "dense0", "dense1", "dense2"]


def test_variants_are_forgotten(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", [100])
    network.mark_output(
        network.add_layer(Dense(), [positive(network, x).outputs[0]]).output, "y"
    )
    with quick_build(network).create_context() as context:
        for count in range(1, MAXIMUM_VARIANTS + 5):
            assert context.execute(values(count, 100))["y"].shape == (2, count)
        segment = context.recording({"x": (100,)}).segments[1]
        assert len(segment.variants) == MAXIMUM_VARIANTS
        assert (1,) not in segment.variants


def test_several_sizes(network: Network, agree: Run) -> None:
    """Two sizes in one tensor; one depends on the other's data."""
    x = network.add_input("x", "float32", [10])
    first = positive(network, x, "first", rows=1)
    flat = network.add_reshape(first.outputs[0], shape=(-1,)).output
    shifted = network.add_subtract(flat, np.float32(0.8)).output
    second = positive(network, shifted, "second", rows=1)
    y = network.add_concatenation([first.outputs[0], second.outputs[0]], axis=1).output
    network.mark_output(y, "y")
    network.mark_output(second.outputs[0], "second")
    for count in (10, 3, 0, 6):
        agree(network, values(count))


def test_a_size_is_read_only_while_it_is_there(network: Network, quick_build: Build) -> None:
    """`early` is over before a size is read: where its number lay there is something else."""
    x = network.add_input("x", "float32", [10])
    early = positive(network, x, "early")
    total = network.add_layer(Padded(), list(early.outputs), name="total").output
    spread = network.add_layer(Dense(), [network.add_add(x, total).output], name="spread").output
    for k in range(4):  # takes over all of the arena
        spread = network.add_layer(Dense(), [spread], name=f"spread{k}").output
    late = positive(network, spread, "late")
    network.mark_output(network.add_layer(Dense(), [late.outputs[0]], name="y").output)
    engine = quick_build(network)
    with engine.create_context() as context:
        for count in (3, 10):
            feeds = values(count)
            found = context.execute(feeds)["y"]
            np.testing.assert_allclose(found, np.asarray(network.reference([feeds["x"]])[0]), 1e-5)
        learned = [name for segment in context.recording({"x": (10,)}).segments
                   for name, _ in segment.learns]  # fmt: skip
    assert learned == ["late.size1"]


def test_padded_tensors_as_outputs_are_cut(network: Network, agree: Run, run: Run) -> None:
    x = network.add_input("x", "float32", ["N"])
    found = positive(network, x)
    network.mark_output(found.outputs[0], "y")
    network.mark_output(network.add_relu(found.outputs[0]).output, "relu")
    for count in (0, 1, 10):
        agree(network, values(count))
    assert run(network, {"x": np.zeros(0, np.float32)})["y"].shape == (2, 0)


def test_the_users_array_holds_the_bound(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", [10])
    network.mark_output(positive(network, x).outputs[0], "y")
    mine = np.empty((2, 10), np.float32)
    with quick_build(network).create_context() as context:
        found = context.execute(values(4), {"y": mine})["y"]
        assert found.shape == (2, 4)
        assert found.base is mine or np.shares_memory(found, mine)
        with pytest.raises(ShapeError, match="array of shape 2x10"):
            context.execute(values(4), {"y": np.empty((2, 4), np.float32)})


@pytest.mark.parametrize(("surplus", "size"), [(1, 11), (-11, -1), (2**40, 2**40 + 10)])
def test_sizes_beyond_the_bound_are_errors(
    network: Network, quick_build: Build, surplus: int, size: int
) -> None:
    x = network.add_input("x", "float32", [10])
    found = positive(network, x, surplus=surplus)
    network.mark_output(network.add_layer(Dense(), [found.outputs[0]]).output, "y")
    with quick_build(network).create_context() as context:
        message = rf"layer 'found' reported the size {size} for found.size1; its own bound is 10"
        with pytest.raises(DeviceError, match=message):
            context.execute(values(10))


def test_names_that_look_like_sizes(network: Network, agree: Run) -> None:
    """Sizes are named after layers; no name of another layer may be taken for one."""
    x = network.add_input("x", "float32", [10])
    found = positive(network, x, "a.size")
    y = network.add_layer(Dense(), [found.outputs[0]], name="a").output
    network.mark_output(network.add_layer(Dense(), [y], name="a.size.size").output, "y")
    assert set(network.size_tensors) == {"a.size.size1"}
    agree(network, values(4))


def test_bodies_cannot_wait_for_a_size(network: Network, quick_build: Build) -> None:
    body = Network("body", network.registry)
    inner = body.add_input("x", "float32", [10])
    size = positive(body, inner, "found")
    body.mark_output(
        body.add_layer("ReduceSum", [size.outputs[0]], name="sum", keep_dims=False).output
    )
    flag = network.add_input("flag", "bool", [])
    x = network.add_input("x", "float32", [10])
    network.mark_output(
        network.add_layer("If", [flag, x], then_body=body, else_body=body).output, "y"
    )
    with pytest.raises(ShapeError, match="layer 'sum' in body 'body' needs a size that only"):
        quick_build(network)
