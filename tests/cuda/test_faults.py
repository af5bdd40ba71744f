"""Failures that kernels report reach the call that they are of, or say that it is not known."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import DeviceError
from plugrt.core.devices.cuda.context import CudaContext
from plugrt.core.devices.cuda.faults import CAPACITY, Faults
from plugrt.core.graph.naming import naming_layer
from plugrt.core.runtime.context import MAXIMUM_SHAPES
from plugrt.plugins import Stream
from plugrt.plugins.native.cuda import Context, CudaError, packages
from plugrt.plugins.native.cuda.driver_calls import FATAL, FIXES

from .fake_driver import FakeDriver
from .test_engine_without_gpu import Through, built, numbers, on_gpu


class Choosy(Through):
    """x, if its first number is not negative; with one row it cannot fail."""

    type = "Test.Choosy"

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        super().enqueue(inputs, outputs, workspace, stream)
        if inputs[0].shape[0] == 1:
            return
        word = stream.fault("a number is below zero")  # type: ignore[attr-defined]
        source = stream.address(inputs[0])

        def look() -> None:
            if ctypes.c_float.from_address(source).value < 0:
                ctypes.c_int32.from_address(word).value = 1

        driver: Any = packages.driver()
        driver.put(stream.handle, look)


FAILS = "layer 'layer0' failed: a number is below zero"


def test_the_first_call_that_can_fail_is_told_and_not_one_before_it(driver: FakeDriver) -> None:
    with built(Choosy()) as engine, engine.create_context() as context:
        assert isinstance(context, CudaContext)
        former = context._begin({"x": numbers(1)}, None)
        failing = context._begin({"x": numbers() - 5}, None)
        np.testing.assert_array_equal(context._finish(former)["y"], numbers(1))
        with pytest.raises(DeviceError, match=f"^{FAILS}"):
            context._finish(failing)
        np.testing.assert_array_equal(context.execute({"x": numbers()})["y"], numbers())


def test_a_failure_of_a_call_that_has_left_is_not_the_next_ones(driver: FakeDriver) -> None:
    with built(Choosy()) as engine, engine.create_context() as context:
        context.execute({"x": numbers()})
        context.execute({"x": numbers() - 5}, "device")
        with pytest.raises(DeviceError, match=f"^an earlier call, .* stay on the GPU: {FAILS}"):
            context.execute({"x": numbers()})
        np.testing.assert_array_equal(context.execute({"x": numbers()})["y"], numbers())
        source = on_gpu(numbers() - 5)[0]
        result = context.execute({"x": source}, "device")["y"]
        assert isinstance(context, CudaContext)
        with pytest.raises(DeviceError, match=f"^{FAILS}"):
            context.synchronize()
        assert result.numpy()[0, 0] == -5
        context.synchronize()


def test_calls_wait_for_one_that_uses_arrays_in_place_and_can_fail(driver: FakeDriver) -> None:
    with built(Choosy()) as engine, engine.create_context() as context:
        assert isinstance(context, CudaContext)
        context.execute({"x": numbers()})
        (source, _), (target, kept), (wrong, _) = map(on_gpu, (numbers(), numbers(), numbers() - 5))
        well = context._begin({"x": source}, {"y": target})
        thread = threading.Thread(target=context.execute, args=({"x": wrong}, "device"))
        thread.start()
        thread.join(0.1)
        assert context._finish(well)["y"] is target
        thread.join(20)
        assert not thread.is_alive()
        with pytest.raises(DeviceError, match=f"^{FAILS}"):
            context.synchronize()
        np.testing.assert_array_equal(kept.read().view(np.float32).reshape(2, 8), numbers())


def test_shapes_that_are_forgotten_hide_no_failure(driver: FakeDriver) -> None:
    with built(Choosy()) as engine, engine.create_context() as context:
        for rows in range(2, 2 + MAXIMUM_SHAPES):
            context.execute({"x": numbers(rows)})
        context.execute({"x": numbers() - 5}, "device")
        rows = 2 + MAXIMUM_SHAPES
        with pytest.raises(DeviceError, match=f"^an earlier call, .* stay on the GPU: {FAILS}"):
            context.execute({"x": numbers(rows)})
        np.testing.assert_array_equal(context.execute({"x": numbers(rows)})["y"], numbers(rows))


def test_too_many_different_failures_say_what_to_do(driver: FakeDriver) -> None:
    faults = Faults(Context.of(0))
    addresses = [faults.address(f"failure {number}") for number in range(CAPACITY)]
    assert len(set(addresses)) == CAPACITY
    assert faults.address("failure 7") == addresses[7]
    with pytest.raises(DeviceError, match=r"'one more' .* of 256 at most: split the network"):
        faults.address("one more")
    ctypes.c_int32.from_address(addresses[9]).value = 1
    faults.check(known=9)
    with pytest.raises(DeviceError, match=r"^before: failure 9$"):
        faults.check(known=10, whose="before: ")
    faults.check()


def test_what_the_driver_tells_for_good_is_blamed_on_nobody() -> None:
    fatal = [code for code, text in FIXES.items() if FATAL in text]
    assert {"CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_LAUNCH_FAILED"} <= set(fatal)
    assert "may be of another call or engine" in FATAL
    assert "run compute-sanitizer" in FATAL


def test_errors_of_the_driver_keep_their_type_and_code_with_the_layers_name() -> None:
    layer = Through()
    with (
        pytest.raises(CudaError, match=r"^layer 'one' \(Test\.Through\): it failed$") as caught,
        naming_layer("one", layer, "enqueue()"),
    ):
        raise CudaError("it failed", "CUDA_ERROR_NO_DEVICE")
    assert caught.value.code == "CUDA_ERROR_NO_DEVICE"
    assert isinstance(caught.value, plugrt.DeviceError)
