"""Cases for layers with bodies: attributes of type Graph, known by their usual names."""

from __future__ import annotations

import numpy as np

from plugrt.core.graph import Network
from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    Array,
    DataType,
    Expression,
    Input,
    LayerPlugin,
    PointwiseLayer,
    attribute,
)

from .cases import Case

SHAPE = (2, 3)


class Affine(PointwiseLayer):
    """factor * a + b, the only layer in the kit's bodies."""

    type = "plugrt.testing.Affine"
    input_names = ("a", "b")
    factor = attribute(float, 0.5)

    def pointwise(self) -> Expression:
        return Input(0) * self.factor + Input(1)


class Same(PointwiseLayer):
    """The input, copied: a condition goes on as it is."""

    type = "plugrt.testing.Same"

    def pointwise(self) -> Expression:
        return Input(0)


def body_cases(layer_class: type[LayerPlugin], registry: Registry) -> list[Case]:
    """Cases for a choice (`then_body`, `else_body`) or a loop (`body`, `carried`, `stacked`);
    none for layers with other attributes."""
    names = {name for name, a in layer_class.schema.items() if a.kind_name == "Graph"}
    if names and Affine.type not in registry.names("layers"):
        registry.register(Affine)
        registry.register(Same)
    if names == {"then_body", "else_body"}:
        return _choices(layer_class, registry)
    if names == {"body"} and {"carried", "stacked"} <= set(layer_class.schema):
        return _loops(layer_class, registry)
    return []


def _choices(layer_class: type[LayerPlugin], registry: Registry) -> list[Case]:
    bodies = {
        name: _branch(name, factor, registry)
        for name, factor in (("then_body", 2.0), ("else_body", -1.0))
    }
    captures = _floats(1), _floats(2)
    return [
        Case(layer_class, (np.array(condition), *captures), bodies) for condition in (True, False)
    ]


def _branch(name: str, factor: float, registry: Registry) -> Network:
    body = Network(name, registry)
    left, right = (body.add_input(n, DataType.FLOAT32, SHAPE) for n in ("left", "right"))
    result = body.add_layer(Affine(factor=factor), [left, right], name="result")
    body.mark_output(result.output)
    return body


def _loops(layer_class: type[LayerPlugin], registry: Registry) -> list[Case]:
    cases = []
    for stacked in (0, 1):
        body = Network("body", registry)
        body.add_input("iteration", DataType.INT64, ())
        condition = body.add_input("condition", DataType.BOOL, ())
        carried = body.add_input("carried", DataType.FLOAT32, SHAPE)
        capture = body.add_input("capture", DataType.FLOAT32, SHAPE)
        go_on = body.add_layer(Same(), [condition], name="go_on")
        sum_ = body.add_layer(Affine(), [carried, capture], name="sum")
        body.mark_output(go_on.output)
        body.mark_output(sum_.output)
        if stacked:
            element = body.add_layer(Affine(factor=3.0), [carried, capture], name="element")
            body.mark_output(element.output)
        inputs = (np.array(4), np.array(True), _floats(3), _floats(4))
        attributes = {"body": body, "carried": 1, "stacked": stacked}
        cases.append(Case(layer_class, inputs, attributes, frozenset({0})))
    return cases


def _floats(seed: int) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, SHAPE).astype(np.float32)
