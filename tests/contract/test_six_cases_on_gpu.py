"""The six cases of the contract on a GPU: the plan, one graph per inference, and the results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plugrt import BuilderConfig, Network, Registry, build
from plugrt.core.devices.cuda.graphs import Graph
from plugrt.plugins import DataType
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

pytestmark = pytest.mark.cuda

Examine = Callable[..., Any]

GPU = {"device": "cuda"}
CONVERSIONS = {"Reformat", "ConvertType"}


def own_types(found: Any) -> list[str]:
    """Types of the layers that are no conversions."""
    return [kind for kind in found.types if kind not in CONVERSIONS]


def assert_one_graph(found: Any) -> None:
    """Everything is in one graph: nothing runs on the host."""
    assert not [line for line in found.engine.report if "runs on the host" in line]
    for segment in found.recording.segments:
        for variant in segment.variants.values():
            (step,) = variant.recording.instance().steps
            assert isinstance(step, Graph)


# ---- (a) convolution, batch norm, leaky, residual -------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("read_later", [False, True])
def test_a_a_block_is_its_convolutions(
    registry: Registry, examine: Examine, rng: Random, precision: str, read_later: bool
) -> None:
    network = residual_block(registry, rng, read_later)
    found = examine(network, 5e-3 if precision == "fp16" else 1e-4, precision=precision, **GPU)

    assert set(own_types(found)) == {"Convolution"}  # nothing else is left of the block
    third = found.layer("third")
    assert third.fused == ["leaky", "sum"]
    (residual,) = third.inputs[len(third.own_inputs) :]
    if read_later:
        assert found.offset(third.output.name) != found.offset(residual.name)
    assert_one_graph(found)


# ---- (b) a convolution that writes into a slice ---------------------------------------------


def test_b_slices_are_written_in_place(registry: Registry, examine: Examine, rng: Random) -> None:
    network, parts, joined = joined_parts(registry, rng)

    found = examine(network, **GPU)

    assert found.aliasing("join").slices == frozenset({0, 1})
    assert_one_graph(found)
    whole = found.offset(joined.name)
    layout = found.network.tensors[joined.name].format
    distance = 16 * 4 if layout.value == "channels_last" else 16 * 64 * 4
    assert [found.offset(part.name) - whole for part in parts] == [0, distance]


# ---- (c) a third party's expression ---------------------------------------------------------


def test_c_mish_of_a_third_party_becomes_an_epilogue(
    registry: Registry, examine: Examine, rng: Random
) -> None:
    network = convolution_and_mish(registry, rng)

    found = examine(network, **GPU)

    assert own_types(found) == ["Convolution"]
    assert found.layer("convolution").fused == ["mish"]
    assert_one_graph(found)


def test_c_neighbours_without_a_form_in_any_library_are_one_pass(
    registry: Registry, examine: Examine
) -> None:
    local = Registry(registry)
    local.register(Ripple)
    network = Network("ripple", local)
    x = network.add_input("x", "float32", [2, 6, 5])
    y = network.add_input("y", "float32", [2, 5, 6])
    result = network.add_layer("Transpose", [x], name="turn", permutation=(0, 2, 1)).output
    result = network.add_layer("Test.Ripple", [result], name="ripple").output
    result = network.add_layer("Twins.Mish", [result], name="mish").output
    network.mark_output(network.add_layer("Twins.Add", [result, y], name="add").output, "z")

    found = examine(network, **GPU)

    assert found.types == ["Transpose", "Test.Ripple"]
    assert found.layer("ripple").fused == ["mish", "add"]
    assert_one_graph(found)


def test_c_what_cudnn_has_no_form_for_is_computed_all_the_same(
    registry: Registry, examine: Examine, rng: Random
) -> None:
    local = Registry(registry)
    local.register(Ripple)
    network = Network("ripple", local)
    x = network.add_input("x", "float32", [1, 16, 10, 10])
    result = convolution(network, rng, x, 16, "convolution", size=5)
    network.mark_output(network.add_layer("Test.Ripple", [result], name="ripple").output, "y")

    assert_one_graph(examine(network, **GPU))


# ---- (d) sizes that only the data decide ----------------------------------------------------


def test_d_sizes_of_the_data_inside_one_graph(registry: Registry) -> None:
    network = detecting(registry)

    counts, recordings = set(), set()
    with built(network) as engine, engine.create_context() as context:
        for seed in range(6):
            inputs = detections(seed, spread=seed / 5)
            results = context.execute(inputs)
            wanted = network.reference(list(inputs.values()))
            for name, array in zip(network.output_names, wanted, strict=True):
                np.testing.assert_array_equal(results[name], np.asarray(array), err_msg=name)
            assert len(results["selected"]) == results["selected_count"]
            assert results["certain"].shape == (3, int(results["certain_count"]))
            counts.add((int(results["selected_count"]), int(results["certain_count"])))
            recording = context.recording({name: array.shape for name, array in inputs.items()})
            recordings.add((id(recording), recording.commands))
            assert len(recording.segments) == 1
    assert len(counts) >= 4
    assert len(recordings) == 1


def test_d_a_consumer_that_needs_the_size_gets_a_segment_of_its_own(registry: Registry) -> None:
    network = gathered(registry)

    rng = np.random.default_rng(0)
    with built(network) as engine, engine.create_context() as context:
        inputs = {"values": rng.standard_normal((12, 8)).astype(np.float32)}
        for count in (5, 0, 12, 5, 12):
            inputs["mask"] = rng.permutation(12) < count
            found = context.execute(inputs)
            chosen = inputs["values"][inputs["mask"]]
            np.testing.assert_array_equal(found["rows"], chosen)
            np.testing.assert_allclose(found["y"], chosen.sum(axis=0, keepdims=True), atol=1e-5)
        recording = context.recording({name: array.shape for name, array in inputs.items()})
        assert len(recording.segments) == 2


# ---- (e) control flow -----------------------------------------------------------------------


def test_e_if_runs_one_of_two_bodies_inside_the_graph(registry: Registry, rng: Random) -> None:
    network = choice(registry, rng)

    picture = rng.standard_normal((1, 16, 9, 9)).astype(np.float32)
    results = []
    with built(network) as engine, engine.create_context() as context:
        assert not [line for line in engine.report if "runs on the host" in line]
        for value in (True, False, True):
            inputs = {"flag": np.array(value), "image": picture}
            found = context.execute(inputs)["y"]
            (wanted,) = network.reference(list(inputs.values()))
            np.testing.assert_allclose(found, np.asarray(wanted), atol=1e-4)
            results.append(found)
        recording = context.recording({"flag": (), "image": picture.shape})
        assert len(recording.segments) == 1
        for planned in engine.planned.bodies.values():
            fused = [name for layer in planned.network.layers for name in layer.fused]
            assert fused == ["mish"]
    assert not np.allclose(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_e_loop_carries_and_stacks(registry: Registry) -> None:
    network = newton(registry)
    counts = []
    with built(network) as engine, engine.create_context() as context:
        assert not [line for line in engine.report if "runs on the host" in line]
        for scale in (1, 1e4, 1):
            numbers = np.array([1, 2, 3, 4], np.float32) * np.float32(scale)
            found = context.execute({"number": numbers})
            np.testing.assert_allclose(found["root"], np.sqrt(numbers), rtol=1e-5)
            wanted = network.reference([numbers])
            np.testing.assert_allclose(found["guesses"], np.asarray(wanted[1]), rtol=1e-5)
            assert int(found["count"]) == len(found["guesses"]) == int(np.asarray(wanted[2]))
            counts.append(int(found["count"]))
        assert len(context.recording({"number": (4,)}).segments) == 1
    assert counts[0] == counts[2] < counts[1] < 50


# ---- (f) a third party's 8-bit layer --------------------------------------------------------


def test_f_a_third_party_layer_between_int8_ones_gets_scales(
    registry: Registry, examine: Examine, rng: Random
) -> None:
    network, scales = int8_chain(registry, rng)

    found = examine(network, 0.03, precision="int8", **GPU)

    assert own_types(found) == ["Convolution", "Twins.Int8Scale", "Convolution"]
    layer = found.layer("scaled")
    for tensor, name in ((layer.inputs[0], "first"), (layer.output, "scaled")):
        assert tensor.dtype is DataType.INT8
        assert tensor.quantization is not None
        assert tensor.quantization.scale == (scales[name],)
        assert tensor.producer.plugin.type != "ConvertType"  # 8 bits all the way
    assert_one_graph(found)
    exact = emulated(network, found.inputs["x"], scales)
    np.testing.assert_allclose(found.outputs["y"], exact, rtol=0, atol=1.01 * scales["second"])


def built(network: Network) -> Any:
    """An engine on the GPU, by rules."""
    return build(network, BuilderConfig(tune="off", threads=2, **GPU))
