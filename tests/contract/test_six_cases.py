"""Six cases that the contract of plug-ins must carry, judged by the plan and by the results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plugrt import BuilderConfig, Network, Registry, TimingCache, build
from plugrt.core.devices.cpu import CpuDevice
from plugrt.plugins import DataType, native
from tests.contract.networks import (
    Random,
    Ripple,
    choice,
    convolution,
    convolution_and_mish,
    detecting,
    detections,
    emulated,
    gathered,
    int8_chain,
    joined_parts,
    newton,
    residual_block,
)

Examine = Callable[..., Any]

needs_onednn = pytest.mark.skipif(
    not native.onednn.available(), reason="the fusions asserted here are oneDNN's"
)


# ---- (a) convolution, batch norm, leaky, residual -------------------------------------------


@needs_onednn
@pytest.mark.parametrize("read_later", [False, True])
def test_a_residual_is_added_in_place_only_where_it_dies(
    registry: Registry, examine: Examine, rng: Random, read_later: bool
) -> None:
    found = examine(residual_block(registry, rng, read_later))

    assert set(found.types) <= {"Convolution", "Reformat"}  # nothing else is left of the block
    third = found.layer("third")
    assert third.fused == ["leaky", "sum"]
    (residual,) = third.inputs[len(third.own_inputs) :]
    position = third.inputs.index(residual)
    aliasing = found.aliasing("third")
    if read_later:
        assert aliasing.in_place is None
        assert third.plugin.tactic.accumulates_into is None
        assert found.offset(third.output.name) != found.offset(residual.name)
    else:
        assert aliasing.in_place == position
        assert third.plugin.tactic.accumulates_into == position
        assert found.offset(third.output.name) == found.offset(residual.name)


# ---- (b) a convolution that writes into a slice ---------------------------------------------


class Times(dict[str, float]):
    """A timing cache's times by rule: convolutions as matrix products in channels-last win, and
    one that writes a slice takes `slice_seconds`."""

    def __init__(self, slice_seconds: float) -> None:
        super().__init__({"": 0.0})
        self._slice_seconds = slice_seconds

    def get(self, key: str, default: Any = None) -> float:
        name, inputs, _, outputs, tactic, *_ = key.split(" ")
        if not name.startswith("Convolution/"):
            return 1e-6
        if "matmul:" not in tactic or "channels_last" not in inputs:
            return 1e-3
        is_slice = len(outputs.split("/")) > 2  # type[shape]/format/strides
        return self._slice_seconds if is_slice else 10e-6


@needs_onednn
@pytest.mark.parametrize("slice_is_slower", [False, True])
def test_b_slices_are_written_where_the_timing_cache_says_that_it_pays(
    registry: Registry, examine: Examine, rng: Random, slice_is_slower: bool
) -> None:
    network, parts, joined = joined_parts(registry, rng)
    # Dense takes 10 and its copy 1 microsecond.
    cache = TimingCache(CpuDevice().fingerprint())
    cache.seconds = Times(11.5e-6 if slice_is_slower else 10.5e-6)

    found = examine(network, timing_cache=cache)

    convolutions = [layer for layer in found.network.layers if layer.plugin.type == "Convolution"]
    assert all(layer.plugin.tactic.name.startswith("matmul:") for layer in convolutions)
    assert all(0 in layer.plugin.tactic.strided_outputs for layer in convolutions)
    others = len(found.network.layers) - 1  # every layer is one command but for the join
    if slice_is_slower:
        assert found.aliasing("join").slices == frozenset()
        assert found.commands == others + 2
        assert any("kept dense before join" in line for line in found.engine.report)
    else:
        assert found.aliasing("join").slices == frozenset({0, 1})
        assert found.commands == others
        whole = found.offset(joined.name)
        assert [found.offset(part.name) - whole for part in parts] == [0, 16 * 4]
    assert list(dict.keys(cache.seconds)) == [""]  # nothing was measured


# ---- (c) a third party's expression ---------------------------------------------------------


@needs_onednn
def test_c_mish_of_a_third_party_becomes_an_epilogue(
    registry: Registry, examine: Examine, rng: Random
) -> None:
    network = convolution_and_mish(registry, rng)

    found = examine(network)

    assert "Twins.Mish" not in found.types
    fused = found.layer("convolution")
    assert fused.fused == ["mish"]
    assert fused.plugin.tactic.name.startswith(("onednn:", "matmul:", "winograd:"))


def test_c_mish_behind_a_layer_without_epilogues_is_one_pass(
    registry: Registry, examine: Examine
) -> None:
    network = Network("mish", registry)
    x = network.add_input("x", "float32", [2, 6, 5])
    turned = network.add_layer("Transpose", [x], name="turn", permutation=(0, 2, 1)).output
    network.mark_output(network.add_layer("Twins.Mish", [turned], name="mish").output, "y")

    found = examine(network)

    assert found.types == ["Transpose", "Twins.Mish"]
    assert found.layer("mish").plugin.tactic.name == "expression"
    assert found.commands == 2


def test_c_what_the_library_has_no_form_for_runs_with_its_neighbours_as_one_pass(
    registry: Registry, examine: Examine, rng: Random
) -> None:
    local = Registry(registry)
    local.register(Ripple)
    network = Network("ripple", local)
    x = network.add_input("x", "float32", [1, 16, 10, 10])
    y = network.add_input("y", "float32", [1, 16, 10, 10])
    result = convolution(network, rng, x, 16, "convolution", size=5)  # own 1x1 and 3x3 fuse any
    result = network.add_layer("Test.Ripple", [result], name="ripple").output
    result = network.add_layer("Twins.Mish", [result], name="mish").output
    network.mark_output(network.add_layer("Twins.Add", [result, y], name="add").output, "z")

    found = examine(network)

    assert found.layer("convolution").fused == []
    assert found.layer("ripple").fused == ["mish", "add"]
    assert found.layer("ripple").plugin.tactic.name == "expression"
    assert found.commands == len(found.types)  # one of them the whole pass


# ---- (d) sizes that only the data decide ----------------------------------------------------


def test_d_sizes_of_the_data_inside_a_recorded_plan(registry: Registry) -> None:
    """NMS and NonZero report their sizes; the recording stays, whatever these are."""
    network = detecting(registry)

    with (
        build(network, BuilderConfig(tune="off", threads=2)) as engine,
        engine.create_context() as context,
    ):
        recorded = None
        counts = set()
        for seed in range(6):
            inputs = detections(seed, spread=seed / 5)
            results = context.execute(inputs)
            for name, wanted in zip(network.output_names, network.reference(list(inputs.values())),
                                    strict=True):  # fmt: skip
                np.testing.assert_array_equal(results[name], np.asarray(wanted), err_msg=name)
            assert len(results["selected"]) == results["selected_count"]
            assert results["certain"].shape == (3, int(results["certain_count"]))
            counts.add((int(results["selected_count"]), int(results["certain_count"])))
            recording = context.recording({name: array.shape for name, array in inputs.items()})
            recorded = recorded or (recording, recording.commands)
            assert (recording, recording.commands) == recorded
            assert len(recording.segments) == 1
            assert recording.commands == 3
    assert len(counts) >= 4


def test_d_a_consumer_that_needs_the_size_gets_a_segment_of_its_own(registry: Registry) -> None:
    network = gathered(registry)

    rng = np.random.default_rng(0)
    with (
        build(network, BuilderConfig(tune="off", threads=2)) as engine,
        engine.create_context() as context,
    ):
        inputs = {"values": rng.standard_normal((12, 8)).astype(np.float32)}
        commands = []
        for count in (5, 0, 12, 5, 12):
            inputs["mask"] = rng.permutation(12) < count
            found = context.execute(inputs)
            chosen = inputs["values"][inputs["mask"]]
            np.testing.assert_array_equal(found["rows"], chosen)
            np.testing.assert_allclose(found["y"], chosen.sum(axis=0, keepdims=True), atol=1e-5)
            recording = context.recording({name: array.shape for name, array in inputs.items()})
            commands.append(recording.commands)
        assert len(recording.segments) == 2
        assert commands[2] == commands[3] == commands[4]  # sizes seen before are replayed


# ---- (e) control flow -----------------------------------------------------------------------


@needs_onednn
def test_e_if_runs_one_of_two_optimised_bodies(registry: Registry, rng: Random) -> None:
    network = choice(registry, rng)

    with (
        build(network, BuilderConfig(tune="off", threads=2)) as engine,
        engine.create_context() as context,
    ):
        picture = rng.standard_normal((1, 16, 9, 9)).astype(np.float32)
        results = []
        for value in (True, False, True):
            inputs = {"flag": np.array(value), "image": picture}
            found = context.execute(inputs)["y"]
            (wanted,) = network.reference(list(inputs.values()))
            np.testing.assert_allclose(found, np.asarray(wanted), atol=1e-4)
            results.append(found)
        assert not np.allclose(results[0], results[1])
        np.testing.assert_array_equal(results[0], results[2])
        recording = context.recording({"flag": (), "image": picture.shape})
        assert len(recording.segments) == 1  # the choice is made inside
        assert recording.commands == 2  # the branch and the ReLU
        planned = list(engine.planned.bodies.values())
        assert len(planned) == 2
        for body_plan in planned:
            types = [layer.plugin.type for layer in body_plan.network.layers]
            assert set(types) <= {"Convolution", "Reformat"}  # the rest is fused there too
            fused = [name for layer in body_plan.network.layers for name in layer.fused]
            assert fused == ["mish"]


def test_e_loop_carries_and_stacks(registry: Registry) -> None:
    network = newton(registry)
    with (
        build(network, BuilderConfig(tune="off", threads=2)) as engine,
        engine.create_context() as context,
    ):
        counts = []
        for scale in (1, 1e4, 1):
            numbers = np.array([1, 2, 3, 4], np.float32) * np.float32(scale)
            found = context.execute({"number": numbers})
            np.testing.assert_allclose(found["root"], np.sqrt(numbers), rtol=1e-5)
            wanted = network.reference([numbers])
            np.testing.assert_allclose(found["guesses"], np.asarray(wanted[1]), rtol=1e-5)
            assert int(found["count"]) == len(found["guesses"]) == int(np.asarray(wanted[2]))
            counts.append(int(found["count"]))
        assert counts[0] == counts[2] < counts[1] < 50
        recording = context.recording({"number": (4,)})
        assert len(recording.segments) == 1
        (body_plan,) = engine.planned.bodies.values()
        fused = [name for layer in body_plan.network.layers for name in layer.fused]
        assert "half" in fused  # bodies are optimised like networks


# ---- (f) a third party's 8-bit layer ------------------------------------------------------------


@needs_onednn
def test_f_a_third_party_layer_between_int8_ones_gets_scales(
    registry: Registry, examine: Examine, rng: Random
) -> None:
    network, scales = int8_chain(registry, rng)

    found = examine(network, 0.03, precision="int8")

    inner = [t for t in found.types if t not in ("ConvertType", "Reformat")]
    assert inner == ["Convolution", "Twins.Int8Scale", "Convolution"]
    layer = found.layer("scaled")
    for tensor, name in ((layer.inputs[0], "first"), (layer.output, "scaled")):
        assert tensor.dtype is DataType.INT8
        assert tensor.quantization is not None
        assert tensor.quantization.scale == (scales[name],)
        assert tensor.producer.plugin.type != "ConvertType"  # 8 bits all the way
    assert layer.output.consumers[0].plugin.type == "Convolution"
    assert found.commands == len(found.types)
    # Against the same sums on the same rounded values the results are one step off at most.
    exact = emulated(network, found.inputs["x"], scales)
    np.testing.assert_allclose(found.outputs["y"], exact, rtol=0, atol=1.01 * scales["second"])
