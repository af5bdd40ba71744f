"""A recipe by plugrt's network API."""

from __future__ import annotations

import plugrt
from benchmarks.nets.recipe import EPSILON, Recipe, Step


def to_plugrt(
    recipe: Recipe, batch: int | str = "N", registry: plugrt.Registry | None = None
) -> plugrt.Network:
    """A network with input `image` and one output per output of the recipe."""
    network = plugrt.Network("benchmark", registry)
    values = {"image": network.add_input("image", "float32", [batch, *recipe.input_shape])}
    for step in recipe.steps:
        values[step.name] = _add(network, step, [values[name] for name in step.inputs])
    for name in recipe.outputs:
        network.mark_output(values[name], name)
    return network


def _add(network: plugrt.Network, step: Step, inputs: list[plugrt.Tensor]) -> plugrt.Tensor:
    options = step.options
    if step.kind == "convolution":
        return _convolution(network, step, inputs[0])
    if step.kind == "max_pooling":
        before, after = options["before"], options["after"]
        return network.add_layer(
            "MaxPooling", inputs, step.name, kernel=(options["kernel"],) * 2,
            strides=(options["stride"],) * 2, padding=(before, before, after, after),
        ).output  # fmt: skip
    if step.kind == "add":
        return network.add_layer("Add", inputs, step.name).output
    if step.kind == "concatenation":
        return network.add_layer("Concatenation", inputs, step.name, axis=1).output
    return network.add_layer(
        "Upsample", inputs, step.name, scales=(options["scale"],) * 2
    ).output


def _convolution(network: plugrt.Network, step: Step, x: plugrt.Tensor) -> plugrt.Tensor:
    weights, options = step.weights, step.options
    x = network.add_layer(
        "Convolution", [x, weights["weights"], weights.get("bias")], step.name,
        strides=(options["stride"],) * 2, padding=(options["pad"],) * 4,
        groups=options["groups"],
    ).output  # fmt: skip
    if "scale" in weights:
        parameters = [weights[k] for k in ("scale", "shift", "mean", "variance")]
        x = network.add_layer(
            "BatchNormalization", [x, *parameters], f"{step.name}.norm", epsilon=EPSILON
        ).output
    if options["slope"] is not None:
        x = network.add_layer(
            "LeakyReLU", [x], f"{step.name}.activation", slope=options["slope"]
        ).output
    return x
