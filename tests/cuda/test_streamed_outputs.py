"""Small outputs that kernels write into the memory of the host, with a driver that is played."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig
from plugrt.core.devices.cuda.endpoints import LARGE
from plugrt.core.devices.cuda.turns import DEPTH
from plugrt.plugins import Alias, Shape, SliceOf, Stream, TensorDesc
from plugrt.plugins.native.cuda.driver_calls import call

from .fake_driver import FakeDriver
from .test_engine_without_gpu import OFF, Through, built, chain, numbers


class Streaming(Through):
    """x, written once and never read again."""

    type = "Test.Streaming"
    streamed_outputs = frozenset({0})


class Joined(Streaming):
    """All inputs one behind the other; whoever makes them writes them there."""

    type = "Test.JoinedRows"
    input_names = ("parts*",)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return sum(desc.shape[0] for desc in inputs), *inputs[0].shape[1:]  # type: ignore

    def aliases(self, inputs: Any, outputs: Any) -> Sequence[Alias]:
        starts = np.cumsum([0, *(desc.sizes[0] for desc in inputs)])
        return [SliceOf(k, 0, 0, int(start)) for k, start in enumerate(starts[:-1])]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        target = stream.address(outputs[0])
        for view in inputs:
            if stream.address(view) != target:
                call("cuMemcpyDtoDAsync", target, stream.address(view), view.desc.nbytes,
                     stream.handle)  # fmt: skip
            target += view.desc.nbytes


def test_small_outputs_are_written_straight_into_the_hosts_memory(driver: FakeDriver) -> None:
    with built(Through(), Streaming()) as engine, engine.create_context() as context:
        for start in range(2 * DEPTH):
            calls = [context.enqueue({"x": numbers(2, start + k)}) for k in range(DEPTH)]
            for k, future in enumerate(calls):
                np.testing.assert_array_equal(future.result()["y"], numbers(2, start + k))
        given = np.empty((2, 8), np.float32)
        assert context.execute({"x": numbers()}, {"y": given})["y"] is given
        np.testing.assert_array_equal(given, numbers())
        assert context.recording({"x": (2, 8)}).commands == 3  # in, twice through
        held = context.execute({"x": numbers(2, 5)}, "device")["y"]
        context.synchronize()
        np.testing.assert_array_equal(np.asarray(held), numbers(2, 5))
        large = numbers(LARGE // 32)
        np.testing.assert_array_equal(context.execute({"x": large})["y"], large)


def test_outputs_that_are_read_again_stay_on_the_gpu(driver: FakeDriver) -> None:
    network = chain(Streaming(), Through())
    network.mark_output(network.layers[0].output, "between")
    config = BuilderConfig(device="cuda", **OFF)
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        found = context.execute({"x": numbers()})
        for name in ("y", "between"):
            np.testing.assert_array_equal(found[name], numbers())
        assert context.recording({"x": (2, 8)}).commands == 5  # in, twice through, out twice


@pytest.mark.parametrize("count", [1, 2])
def test_outputs_that_others_write_slices_of_stay_on_the_gpu(
    driver: FakeDriver, count: int
) -> None:
    network = plugrt.Network("slices", chain(Through(), Joined()).registry)
    x = network.add_input("x", "float32", [2, 8])
    parts = [network.add_layer(Through(), [x], name=f"part{k}").output for k in range(count)]
    network.mark_output(network.add_layer(Joined(), parts, name="joined").output, "y")
    network.mark_output(network.add_layer(Through(), parts[:1], name="reader").output, "again")
    config = BuilderConfig(device="cuda", **OFF)
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        found = context.execute({"x": numbers()})
        np.testing.assert_array_equal(found["y"], np.concatenate([numbers()] * count))
        np.testing.assert_array_equal(found["again"], numbers())
        # in, each part, which is written in its place, what reads the first, out twice
        assert context.recording({"x": (2, 8)}).commands == 1 + count + 1 + 2
