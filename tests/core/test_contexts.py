"""Contexts: many on one engine, asynchronous calls, shapes, profiles, closing."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from plugrt import DeviceError, Engine, LayerPlugin, Network, PlugrtError, ShapeError
from plugrt.core.runtime.context import MAXIMUM_SHAPES
from plugrt.plugins import Shape, TensorDesc

Build = Callable[..., Engine]
Random = np.random.Generator


@pytest.fixture
def convolutions(network: Network, rng: Random) -> Network:
    y = network.add_input("x", "float32", ["N", 8, 16, 16])
    for k in range(3):
        weights = rng.standard_normal((8, 8, 3, 3)).astype(np.float32) / 8
        y = network.add_convolution(y, weights, padding=(1,) * 4, name=f"conv{k}").output
        y = network.add_mish(y, name=f"mish{k}").output
    network.mark_output(y, "y")
    return network


class Waiting(LayerPlugin):
    """x + 1 after so many milliseconds; negative ones are an error."""

    type = "Test.Waiting"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        duration = float(inputs[0].flat[0])
        if duration < 0:
            raise ValueError(f"cannot wait {duration:g} ms")
        time.sleep(duration / 1000)
        outputs[0][...] = inputs[0] + 1


@pytest.fixture
def waiting(network: Network, quick_build: Build) -> Engine:
    x = network.add_input("x", "float32", ["N"])
    network.mark_output(network.add_layer(Waiting(), [x], name="wait").output, "y")
    return quick_build(network)


def milliseconds(value: float) -> dict[str, Any]:
    return {"x": np.array([value], np.float32)}


# ---- several at once ----------------------------------------------------------------------------


def test_contexts_and_threads_get_equal_bits(
    convolutions: Network, quick_build: Build, rng: Random
) -> None:
    engine = quick_build(convolutions)
    feeds = [{"x": rng.standard_normal((n, 8, 16, 16)).astype(np.float32)} for n in (1, 2, 1, 3)]
    with engine.create_context() as context:
        wanted = [context.execute(feed)["y"] for feed in feeds]
    shared = engine.create_context()

    def work(number: int) -> list[Any]:
        context = shared if number % 2 else engine.create_context()
        return [context.execute(feed)["y"] for feed in feeds]

    packed = engine.packed_bytes
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(work, range(8)):
            for mine, theirs in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(mine, theirs)
    assert engine.packed_bytes == packed  # packed weights are shared


def test_another_number_of_threads_is_within_tolerance(
    convolutions: Network, quick_build: Build, rng: Random
) -> None:
    engine = quick_build(convolutions)
    feed = {"x": rng.standard_normal((2, 8, 16, 16)).astype(np.float32)}
    results = []
    for threads in (1, 2, 3):
        with engine.create_context(threads) as context:
            assert context.threads == threads
            results.append(context.execute(feed)["y"])
    for found in results[1:]:
        np.testing.assert_allclose(found, results[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(PlugrtError, match="threads=0"):
        engine.create_context(0)


# ---- asynchronous calls -------------------------------------------------------------------------


def test_calls_run_in_order(waiting: Engine) -> None:
    with waiting.create_context() as context:
        order: list[int] = []
        futures = []
        for k, duration in enumerate((30, 0, 10, 0)):
            futures.append(context.enqueue(milliseconds(duration)))
            futures[-1].add_done_callback(lambda _, k=k: order.append(k))  # type: ignore[misc]
        assert not futures[-1].done()
        assert [float(f.result()["y"][0]) for f in futures] == [31, 1, 11, 1]
        assert order == [0, 1, 2, 3]


def test_errors_come_through_the_future(waiting: Engine) -> None:
    with waiting.create_context() as context:
        bad, missing = context.enqueue(milliseconds(-5)), context.enqueue({})
        good = context.enqueue(milliseconds(0))
        with pytest.raises(DeviceError, match=r"layer 'wait' failed: ValueError: cannot wait -5"):
            bad.result()
        with pytest.raises(ShapeError, match="input 'x' is missing"):
            missing.result()
        assert float(good.result()["y"][0]) == 1


def test_enqueue_does_not_wait_for_a_running_call(waiting: Engine) -> None:
    with waiting.create_context() as context:
        thread = threading.Thread(target=context.execute, args=(milliseconds(300),))
        thread.start()
        time.sleep(0.05)
        start = time.perf_counter()
        future = context.enqueue(milliseconds(0))
        assert time.perf_counter() - start < 0.2
        future.result()
        thread.join()


# ---- closing --------------------------------------------------------------------------------


def test_close_waits_for_what_was_enqueued(waiting: Engine) -> None:
    context = waiting.create_context()
    futures = [context.enqueue(milliseconds(20)) for _ in range(3)]
    context.close()
    assert all(f.done() and float(f.result()["y"][0]) == 21 for f in futures)
    context.close()
    for use in (
        lambda: context.execute(milliseconds(0)), lambda: context.enqueue(milliseconds(0)),
        lambda: context.profile(milliseconds(0)), lambda: context.recording({"x": (1,)}),
    ):  # fmt: skip
        with pytest.raises(PlugrtError, match=r"context is (being )?closed; create"):
            use()


def test_a_closed_engine_runs_no_more(waiting: Engine) -> None:
    context = waiting.create_context()
    context.execute(milliseconds(0))
    assert not waiting.closed
    waiting.close()
    assert waiting.closed
    with pytest.raises(PlugrtError, match="engine of this execution context is closed"):
        context.execute(milliseconds(0))
    with pytest.raises(PlugrtError, match="the engine is closed; load it again"):
        waiting.create_context()


def test_a_context_keeps_its_engine(network: Network) -> None:
    from plugrt import BuilderConfig, build

    events: list[str] = []

    class Ended(Waiting):
        type = "Test.Ended"

        def terminate(self) -> None:
            events.append("terminate")

    x = network.add_input("x", "float32", ["N"])
    network.mark_output(network.add_layer(Ended(), [x]).output, "y")
    context = build(network, BuilderConfig(tune="off")).create_context()
    gc.collect()
    assert float(context.execute(milliseconds(0))["y"][0]) == 1
    assert events == []
    context.close()
    gc.collect()
    assert events == ["terminate"]


# ---- shapes -------------------------------------------------------------------------------------


def test_shapes_take_turns(convolutions: Network, quick_build: Build, rng: Random) -> None:
    engine = quick_build(convolutions)
    batches = [1, 4, 2, 1, 4, 3]
    with engine.create_context() as context:
        kept: dict[int, Any] = {}
        for batch in batches:
            x = rng.standard_normal((batch, 8, 16, 16)).astype(np.float32)
            found = context.execute({"x": x})["y"]
            (wanted,) = convolutions.reference([x])
            assert found.shape == x.shape
            np.testing.assert_allclose(found, np.asarray(wanted), rtol=1e-3, atol=1e-4)
            recording = context.recording({"x": x.shape})
            assert kept.setdefault(batch, recording) is recording


def test_an_empty_batch_works(convolutions: Network, quick_build: Build) -> None:
    """Layers whose results are empty are not even asked; a sum over nothing is."""
    y = convolutions.outputs[0]
    pooled = convolutions.add_max_pooling(y, kernel=(2, 2), strides=(2, 2)).output
    joined = convolutions.add_concatenation([pooled, pooled], axis=1).output
    flat = convolutions.add_flatten(joined).output
    product = convolutions.add_fully_connected(flat, np.ones((3, 1024), np.float32)).output
    convolutions.mark_output(convolutions.add_softmax(product, name="probabilities").output)
    total = convolutions.add_layer("ReduceSum", [product], name="total", axes=(0,), keep_dims=False)
    convolutions.mark_output(total.output)
    for options in ({}, {"fusion": False}):
        with quick_build(convolutions, **options).create_context() as context:
            for batch in (2, 0, 2):
                results = context.execute({"x": np.ones((batch, 8, 16, 16), np.float32)})
                assert results["y"].shape == (batch, 8, 16, 16)
                assert results["probabilities"].shape == (batch, 3)
            results = context.execute({"x": np.ones((0, 8, 16, 16), np.float32)})
            np.testing.assert_array_equal(results["total"], np.zeros(3))


def test_old_shapes_are_forgotten(waiting: Engine) -> None:
    with waiting.create_context() as context:
        first = context.recording({"x": (1,)})
        second = context.recording({"x": (2,)})
        for size in range(3, MAXIMUM_SHAPES + 1):
            context.recording({"x": (size,)})
        assert context.recording({"x": (1,)}) is first  # now the latest one
        context.recording({"x": (1000,)})
        assert context.recording({"x": (1,)}) is first
        assert context.recording({"x": (2,)}) is not second
        with pytest.raises(ShapeError, match="shape of input 'x' is missing"):
            context.recording({})


# ---- profiles -----------------------------------------------------------------------------------


def test_profiles_list_every_layer(network: Network, quick_build: Build, rng: Random) -> None:
    x = network.add_input("x", "float32", [1, 8, 16, 16])
    weights = rng.standard_normal((8, 8, 3, 3)).astype(np.float32)
    y = network.add_convolution(x, weights, name="block/conv").output
    y = network.add_reshape(y, shape=(1, -1), name="block/view").output
    y = network.add_softmax(y, name="block").output
    y = network.add_layer(Waiting(), [network.add_multiply(y, 0.0).output], name="a/b/c").output
    network.mark_output(y, "y")
    engine = quick_build(network)
    with engine.create_context() as context:
        times = context.profile({"x": np.ones((1, 8, 16, 16), np.float32)}, runs=3)
        layers = engine.planned.network.layers
        assert [(t.name, t.type) for t in times] == [(k.name, k.plugin.type) for k in layers]
        seconds = {t.name: t.seconds for t in times}
        assert seconds["block/view"] == 0
        assert seconds["block/conv"] > 0
        assert seconds["a/b/c"] > 0
        with pytest.raises(PlugrtError, match="runs=0"):
            context.profile({"x": np.ones((1, 8, 16, 16), np.float32)}, runs=0)
