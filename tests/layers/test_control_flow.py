"""If and Loop in whole engines: bodies are planned, recorded and replayed with the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, DataType, Network, ShapeError, symbol
from plugrt.builtin_layers.conditional import If
from plugrt.builtin_layers.loop import Loop
from plugrt.plugins import TensorDesc

Build = Callable[..., Sequence[Any]]
BATCH = symbol("N")


def body(inputs: Sequence[tuple[str, str, Sequence[Any]]], define: Build) -> Network:
    """A network with inputs (name, type, shape), and as outputs what `define` returns."""
    network = Network("body")
    tensors = [network.add_input(*declared) for declared in inputs]
    for tensor in define(network, *tensors):
        network.mark_output(tensor)
    return network


def run(network: Network, **arrays: Any) -> dict[str, Any]:
    """Build, execute and return the outputs; a replay and a loaded plan must agree."""
    inputs = {name: np.asarray(array) for name, array in arrays.items()}
    with plugrt.build(network, BuilderConfig(tune="off")) as engine:
        plan = engine.to_bytes()
        with engine.create_context() as context:
            first = {name: array.copy() for name, array in context.execute(inputs).items()}
            again = context.execute(inputs)
    with plugrt.Engine.from_bytes(plan) as engine, engine.create_context() as context:
        loaded = context.execute(inputs)
    for name, array in first.items():
        np.testing.assert_array_equal(again[name], array)
        np.testing.assert_array_equal(loaded[name], array)
    return first


PAIR = [("a", "float32", ["N", 3]), ("b", "float32", ["N", 3])]


def choose(then: Build, otherwise: Build) -> Network:
    """condition, a, b -> If."""
    network = Network()
    condition = network.add_input("condition", "bool", [])
    a, b = (network.add_input(*declared) for declared in PAIR)
    layer = network.add_layer(
        "If", [condition, a, b], then_body=body(PAIR, then), else_body=body(PAIR, otherwise)
    )
    for index, tensor in enumerate(layer.outputs):
        network.mark_output(tensor, f"y{index}")
    return network


def test_if_takes_one_body(rng: Any) -> None:
    network = choose(
        lambda net, a, b: [net.add_add(a, b).output, net.add_exp(b).output],
        lambda net, a, b: [
            net.add_re_lu(net.add_subtract(a, b).output).output, net.add_negate(a).output
        ],
    )  # fmt: skip
    a, b = rng.normal(size=(2, 4, 3)).astype(np.float32)
    yes = run(network, condition=True, a=a, b=b)
    no = run(network, condition=False, a=a, b=b)
    np.testing.assert_allclose(yes["y0"], a + b, rtol=1e-6)
    np.testing.assert_allclose(yes["y1"], np.exp(b), rtol=1e-5)
    np.testing.assert_allclose(no["y0"], np.maximum(a - b, 0), rtol=1e-6)
    np.testing.assert_allclose(no["y1"], -a)
    (layer,) = network.layers
    reference = layer.plugin.reference([np.array(True), a, b])
    np.testing.assert_allclose(reference[0], a + b, rtol=1e-6)


def test_bodies_nest(rng: Any) -> None:
    product = body(PAIR, lambda net, a, b: [net.add_multiply(a, b).output])
    total = body(PAIR, lambda net, a, b: [net.add_add(a, b).output])
    outer_inputs = [("flag", "bool", []), *PAIR]
    outer = body(
        outer_inputs,
        lambda net, flag, a, b: [
            net.add_layer("If", [flag, a, b], then_body=product, else_body=total).output
        ],
    )
    other = body(outer_inputs, lambda net, flag, a, b: [net.add_subtract(a, b).output])
    network = Network()
    conditions = [network.add_input(name, "bool", []) for name in ("outer", "flag")]
    a, b = (network.add_input(*declared) for declared in PAIR)
    layer = network.add_layer(
        "If", [conditions[0], conditions[1], a, b], then_body=outer, else_body=other
    )
    network.mark_output(layer.output, "y")
    x, y = rng.normal(size=(2, 2, 3)).astype(np.float32)
    for flags, expected in (
        ((True, True), x * y), ((True, False), x + y), ((False, True), x - y)
    ):  # fmt: skip
        result = run(network, outer=flags[0], flag=flags[1], a=x, b=y)["y"]
        np.testing.assert_allclose(result, expected, rtol=1e-6)


COUNTER = [
    ("iteration", "int64", []), ("condition", "bool", []), ("x", "float32", ["N", 2]),
    ("step", "float32", ["N", 2]),
]  # fmt: skip


def accumulate(limit: float) -> Network:
    """x += step while the sum of x stays below a limit; stacks x * x."""

    def define(net: Network, iteration: Any, condition: Any, x: Any, step: Any) -> Sequence[Any]:
        total = net.add_add(x, step).output
        sum_ = net.add_reduce_sum(total, keep_dims=False).output
        goes_on = net.add_less(sum_, np.array(limit, np.float32)).output
        return [goes_on, total, net.add_multiply(total, total).output]

    return body(COUNTER, define)


@pytest.mark.parametrize("maximum", [0, 1, 3, 10])
@pytest.mark.parametrize("limit", [5.0, 1e6])
@pytest.mark.parametrize("start", [True, False])
def test_loop_carries_and_stacks(maximum: int, limit: float, start: bool) -> None:
    network = Network()
    condition = network.add_input("condition", "bool", [])
    x = network.add_input("x", "float32", ["N", 2])
    step = network.add_input("step", "float32", ["N", 2])
    layer = network.add_layer(
        "Loop", [np.array(maximum, np.int64), condition, x, step],
        body=accumulate(limit), carried=1, stacked=1,
    )  # fmt: skip
    for name, tensor in zip(("final", "rows", "count"), layer.outputs, strict=True):
        network.mark_output(tensor, name)
    initial = np.array([[1, 2], [0.5, 0]], np.float32)
    increment = np.full_like(initial, 0.5)
    rows = []
    value, going = initial, start
    while len(rows) < maximum and going:
        value = value + increment
        going = value.sum() < limit
        rows.append(value * value)
    expected = np.array(rows, np.float32).reshape(-1, 2, 2)
    result = run(network, condition=start, x=initial, step=increment)
    reference = layer.plugin.reference(
        [np.array(maximum), np.array(start), initial, increment]
    )
    for final, stack, count in ([result[n] for n in ("final", "rows", "count")], reference):
        np.testing.assert_allclose(final, value)
        np.testing.assert_allclose(stack, expected)
        assert count == len(rows)


@pytest.mark.parametrize("given", ["maximum", "condition", "both"])
def test_loop_bounds_are_optional(given: str) -> None:
    declared = [*COUNTER[:2], ("x", "int64", [])]

    def define(net: Network, iteration: Any, condition: Any, x: Any) -> Sequence[Any]:
        total = net.add_add(x, iteration).output
        return [net.add_less(total, np.array(10)).output, total]

    network = Network()
    x = network.add_input("x", "int64", [])
    bounds: list[Any] = [None, None]
    if given in ("maximum", "both"):
        bounds[0] = network.add_input("maximum", "int64", [])
    if given in ("condition", "both"):
        bounds[1] = network.add_input("condition", "bool", [])
    layer = network.add_layer("Loop", [*bounds, x], body=body(declared, define), carried=1)
    network.mark_output(layer.output, "y")
    arrays = {"x": np.array(1), "maximum": np.array(4), "condition": np.array(True)}
    wanted = {name: arrays[name] for name in network.input_names}
    # 1 + 0 + 1 + 2 + 3 is 7; unlimited, 4 and then nothing follow: 11 ends the loop.
    expected = 11 if given == "condition" else 7
    assert run(network, **wanted)["y"] == expected
    values = [wanted.get("maximum"), wanted.get("condition"), wanted["x"]]
    assert layer.plugin.reference(values) == [expected]


def test_loop_output_shapes() -> None:
    plugin = Loop(body=accumulate(1.0), carried=1, stacked=1)
    x = TensorDesc(DataType.FLOAT32, (BATCH, 2))
    condition = TensorDesc(DataType.BOOL, ())
    maximum = TensorDesc(DataType.INT64, (), value=np.array(7))
    inputs = [maximum, condition, x, x]
    assert plugin.getNbOutputs() == 3
    assert plugin.getOutputDimensions(0, inputs) == (BATCH, 2)
    rows = plugin.getOutputDimensions(1, inputs)
    assert rows[1:] == (BATCH, 2)
    assert plugin.getOutputDimensions(2, inputs) == ()
    with pytest.raises(ShapeError, match="constant or computed from sizes"):
        plugin.getOutputDimensions(1, [TensorDesc(DataType.INT64, ()), *inputs[1:]])


def test_loop_refuses_what_does_not_fit() -> None:
    x = TensorDesc(DataType.FLOAT32, (BATCH, 2))
    wide = TensorDesc(DataType.FLOAT32, (BATCH, 3))
    condition = TensorDesc(DataType.BOOL, ())
    maximum = TensorDesc(DataType.INT64, (), value=np.array(7))
    with pytest.raises(ShapeError, match=r"input 'x' of the body is .*Nx2.* but would get"):
        Loop(body=accumulate(1.0), carried=1, stacked=1).getOutputDimensions(
            0, [maximum, condition, wide, x]
        )
    with pytest.raises(ShapeError, match="the body takes 4 inputs"):
        Loop(body=accumulate(1.0), carried=1, stacked=1).getOutputDimensions(
            0, [maximum, condition, x]
        )
    with pytest.raises(ShapeError, match="the body has 3 outputs; carried=0"):
        Loop(body=accumulate(1.0)).getOutputDimensions(0, [maximum, condition, x, x])
    growing = body(
        COUNTER[:3],
        lambda net, iteration, condition, x: [condition, net.add_flatten(x, axis=0).output],
    )
    with pytest.raises(ShapeError, match="carried value 0 before and after a run"):
        Loop(body=growing, carried=1).getOutputDimensions(
            0, [maximum, condition, TensorDesc(DataType.FLOAT32, (4, 2))]
        )


def test_if_refuses_what_does_not_fit() -> None:
    a = TensorDesc(DataType.FLOAT32, (2, 3))
    condition = TensorDesc(DataType.BOOL, ())
    add = body(PAIR, lambda net, a, b: [net.add_add(a, b).output])
    row = body(PAIR, lambda net, a, b: [net.add_reduce_sum(a, axes=(1,)).output])
    both = body(PAIR, lambda net, a, b: [a, b])
    with pytest.raises(ShapeError, match="give a bool scalar"):
        If(then_body=add, else_body=add).getOutputDimensions(0, [a, a, a])
    with pytest.raises(ShapeError, match="output 0 of the two bodies"):
        If(then_body=add, else_body=row).getOutputDimensions(0, [condition, a, a])
    with pytest.raises(ShapeError, match="then_body has 1 outputs and else_body 2"):
        If(then_body=add, else_body=both).getOutputDimensions(0, [condition, a, a])
    wrong = TensorDesc(DataType.INT64, (2, 3))
    with pytest.raises(ShapeError, match="would get int64"):
        If(then_body=add, else_body=add).getOutputDimensions(0, [condition, a, wrong])
