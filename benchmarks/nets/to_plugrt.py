"""A recipe by plugrt's network API."""

from __future__ import annotations

from typing import Any

import numpy as np

import plugrt
from benchmarks.nets.recipe import EPSILON, Recipe, Step

Chain = list[tuple[str, list[Any], dict[str, Any]]]
"""Layers one behind the other: type, further inputs, attributes."""


def to_plugrt(
    recipe: Recipe, batch: int | str = "N", registry: plugrt.Registry | None = None,
    dtype: str = "float32",
) -> plugrt.Network:
    """A network with input `image` and one output per output of the recipe. Numbers of the type
    uint8 are divided by 255."""
    network = plugrt.Network("benchmark", registry)
    image = network.add_input("image", dtype, [batch, *recipe.input_shape])
    if dtype != "float32":
        image = network.add_layer("Cast", [image], to="float32").output
    if dtype == "uint8":
        image = network.add_layer("Multiply", [image, np.float32(1 / 255)]).output
    values = {"image": image}
    for step in recipe.steps:
        inputs: list[Any] = [values[name] for name in step.inputs]
        chain = CHAINS[step.kind](step)
        for position, (type_name, rest, attributes) in enumerate(chain):
            name = step.name if position == len(chain) - 1 else f"{step.name}.{position}"
            layer = network.add_layer(type_name, [*inputs, *rest], name, **attributes)
            inputs = [layer.output]
        values[step.name] = inputs[0]
    for name in recipe.outputs:
        network.mark_output(values[name], name)
    return network


def _convolution(step: Step) -> Chain:
    weights, options = step.weights, step.options
    chain: Chain = [
        ("Convolution", [weights["weights"], weights.get("bias")],
         {"strides": (options["stride"],) * 2, "padding": (options["pad"],) * 4,
          "groups": options["groups"]})
    ]  # fmt: skip
    if "scale" in weights:
        parameters = [weights[k] for k in ("scale", "shift", "mean", "variance")]
        chain.append(("BatchNormalization", parameters, {"epsilon": EPSILON}))
    activation = options["activation"]
    return chain if activation is None else [*chain, ACTIVATIONS[activation]]


def _fully_connected(step: Step) -> Chain:
    weights = [step.weights["weights"], step.weights["bias"]]
    product: Chain = [("FullyConnected", weights, {})]
    return [*product, ("ReLU", [], {})] if step.options["relu"] else product


def _max_pooling(step: Step) -> Chain:
    options = step.options
    before, after = options["before"], options["after"]
    attributes = {
        "kernel": (options["kernel"],) * 2, "strides": (options["stride"],) * 2,
        "padding": (before, before, after, after), "ceil_mode": options["ceil"],
    }  # fmt: skip
    return [("MaxPooling", [], attributes)]


ACTIVATIONS: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "leaky": ("LeakyReLU", [], {"slope": 0.1}),
    "relu": ("ReLU", [], {}),
    "relu6": ("Clip", [], {"minimum": 0.0, "maximum": 6.0}),
}

CHAINS = {
    "convolution": _convolution,
    "fully_connected": _fully_connected,
    "max_pooling": _max_pooling,
    "global_average": lambda step: [("GlobalAveragePooling", [], {})],
    "response_normalization": lambda step: [("LRN", [], step.options)],
    "space_to_depth": lambda step: [
        ("Darknet.Reorg", [], {"stride": step.options["block"], "order": "blocks"})
    ],
    "relu": lambda step: [("ReLU", [], {})],
    "softmax": lambda step: [("Softmax", [], {"axis": 1})],
    "add": lambda step: [("Add", [], {})],
    "concatenation": lambda step: [("Concatenation", [], {"axis": 1})],
    "upsample": lambda step: [("Upsample", [], {"scales": (step.options["scale"],) * 2})],
}
