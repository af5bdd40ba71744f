"""Engines that differ in how they run, with calls and the results that each must give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from plugrt import BuilderConfig, Engine, LayerPlugin, Network, Registry, build
from plugrt.plugins import Array, Shape, TensorDesc

CALLS = 6


class HostMean(LayerPlugin):
    """The mean of each row, subtracted: NumPy, at every inference."""

    type = "Test.HostMean"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0] - inputs[0].mean(axis=-1, keepdims=True)


@dataclass(frozen=True)
class Subject:
    """An engine, calls for it, and what each gave when nothing else ran."""

    name: str
    engine: Engine
    feeds: Sequence[dict[str, Array]]
    wanted: Sequence[dict[str, Array]]

    def check(self, call: int, found: dict[str, Array]) -> None:
        """Raises AssertionError where a bit differs."""
        for name, array in self.wanted[call].items():
            np.testing.assert_array_equal(found[name], array, err_msg=f"{self.name}: {name}")


def convolutions(rng: np.random.Generator) -> tuple[Network, list[dict[str, Array]]]:
    """Several kinds of own and library kernels, at three batch sizes."""
    net = Network("convolutions")
    y = x = net.add_input("x", "float32", ["N", 16, 24, 24])
    for k, groups in enumerate((1, 16, 1)):
        weights = rng.standard_normal((16, 16 // groups, 3, 3)).astype(np.float32) / 8
        y = net.add_convolution(y, weights, padding=(1,) * 4, groups=groups, name=f"c{k}").output
        y = net.add_mish(y, name=f"m{k}").output
    y = net.add_max_pooling(net.add_add(y, x).output, kernel=(2, 2), strides=(2, 2)).output
    net.mark_output(net.add_softmax(y, axis=1).output, "y")
    sizes = [1 + k % 3 for k in range(CALLS)]
    return net, [{"x": rng.standard_normal((n, 16, 24, 24)).astype(np.float32)} for n in sizes]


def _doubling(registry: Registry) -> Network:
    body = Network("step", registry)
    body.add_input("iteration", "int64", [])
    going = body.add_input("condition", "bool", [])
    y = body.add_input("value", "float32", [4, 32])
    weights = np.random.default_rng(3).standard_normal((32, 32)).astype(np.float32) / 6
    y = body.add_tanh(body.add_mat_mul(y, weights).output).output
    body.mark_output(going, "going")
    body.mark_output(body.add_layer(HostMean(), [y], name="mean").output, "next")
    return body


def _branch(registry: Registry, name: str, factor: float) -> Network:
    body = Network(name, registry)
    y = body.add_multiply(body.add_input("x", "float32", [4, 32]), np.float32(factor)).output
    body.mark_output(body.add_sigmoid(y).output, "y")
    return body


def control_flow(rng: np.random.Generator) -> tuple[Network, list[dict[str, Array]]]:
    """A loop whose body has a plug-in in Python, then a choice."""
    net = Network("control flow", Registry.of([HostMean]))
    x = net.add_input("x", "float32", [4, 32])
    count, flag = net.add_input("count", "int64", []), net.add_input("flag", "bool", [])
    always = net.add_constant("always", np.array(True))
    y = net.add_layer(
        "Loop", [count, always, x], name="loop", body=_doubling(net.registry), carried=1
    ).output
    net.mark_output(
        net.add_layer(
            "If", [flag, y], name="choice", then_body=_branch(net.registry, "then", 2),
            else_body=_branch(net.registry, "else", -1),
        ).output, "y",
    )  # fmt: skip
    return net, [
        {
            "x": rng.standard_normal((4, 32)).astype(np.float32),
            "count": np.array(k, np.int64),
            "flag": np.array(k % 2 == 0),
        }
        for k in range(CALLS)
    ]


def host_layers(rng: np.random.Generator) -> tuple[Network, list[dict[str, Array]]]:
    """A plug-in in Python between layers in C."""
    net = Network("host layers", Registry.of([HostMean]))
    y = net.add_exp(net.add_input("x", "float32", ["N", 64])).output
    y = net.add_layer(HostMean(), [y], name="mean").output
    net.mark_output(net.add_gelu(y).output, "y")
    return net, [{"x": rng.standard_normal((k + 1, 64)).astype(np.float32)} for k in range(CALLS)]


def data_dependent(rng: np.random.Generator) -> tuple[Network, list[dict[str, Array]]]:
    """As many results as the data say."""
    net = Network("data dependent")
    x = net.add_input("x", "float32", [40])
    found = net.add_non_zero(net.add_relu(x).output).output
    net.mark_output(net.add_multiply(found, np.int64(3)).output, "y")
    return net, [{"x": rng.standard_normal(40).astype(np.float32)} for _ in range(CALLS)]


def subjects(threads: int, engines: ExitStack) -> Iterator[Subject]:
    """All engines, built for so many threads and closed with `engines`."""
    rng = np.random.default_rng(11)
    for make in (convolutions, control_flow, host_layers, data_dependent):
        network, feeds = make(rng)
        config = BuilderConfig(tune="off", threads=threads)
        engine = engines.enter_context(build(network, config))
        with engine.create_context() as context:
            wanted = [context.execute(feed) for feed in feeds]
        yield Subject(network.name, engine, feeds, wanted)
