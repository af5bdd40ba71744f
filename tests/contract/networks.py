"""The networks of the six cases, and what they are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np

from plugrt import Network, Registry, Tensor
from plugrt.plugins import Expression, Input, UnaryPointwise
from plugrt.plugins.expression import apply

Random = np.random.Generator


def convolution(
    network: Network, rng: Random, source: Tensor, filters: int, name: str, size: int = 3
) -> Tensor:
    """A convolution that keeps the spatial sizes, random weights and bias."""
    channels = int(source.shape[1])  # type: ignore[arg-type]
    weights = rng.standard_normal((filters, channels, size, size)).astype(np.float32)
    weights /= np.float32(np.sqrt(channels) * size)
    bias = rng.standard_normal(filters).astype(np.float32)
    padding = (size // 2,) * 4
    return network.add_layer(
        "Convolution", [source, weights, bias], name=name, padding=padding
    ).output


def normalised(network: Network, rng: Random, source: Tensor, name: str) -> Tensor:
    """A batch normalization with random statistics."""
    channels = int(source.shape[1])  # type: ignore[arg-type]
    statistics = [rng.uniform(0.5, 2, channels).astype(np.float32) for _ in range(4)]
    return network.add_layer("BatchNormalization", [source, *statistics], name=name).output


def residual_block(registry: Registry, rng: Random, read_later: bool) -> Network:
    """first -> second -> third + first, where a later layer may read first again."""
    network = Network("block", registry)
    x = network.add_input("x", "float32", [1, 16, 12, 12])
    first = convolution(network, rng, x, 16, "first")
    second = convolution(network, rng, first, 16, "second")
    third = normalised(network, rng, convolution(network, rng, second, 16, "third"), "norm")
    third = network.add_layer("LeakyReLU", [third], name="leaky", slope=0.1).output
    total = network.add_layer("Add", [third, first], name="sum").output
    last = convolution(network, rng, total, 16, "last")
    network.mark_output(last, "y")
    if read_later:
        network.mark_output(convolution(network, rng, first, 8, "again"), "z")
    return network


def joined_parts(registry: Registry, rng: Random) -> tuple[Network, list[Tensor], Tensor]:
    """Two convolutions into a concatenation; the network, both parts and the whole."""
    network = Network("slices", registry)
    x = network.add_input("x", "float32", [1, 16, 8, 8])
    parts = [convolution(network, rng, x, filters, f"part{filters}", size=1)
             for filters in (16, 32)]  # fmt: skip
    joined = network.add_layer("Concatenation", parts, name="join").output
    network.mark_output(convolution(network, rng, joined, 16, "last", size=1), "y")
    return network, parts, joined


def convolution_and_mish(registry: Registry, rng: Random) -> Network:
    """A convolution and a third party's expression."""
    network = Network("mish", registry)
    x = network.add_input("x", "float32", [1, 16, 10, 10])
    result = convolution(network, rng, x, 16, "convolution")
    network.mark_output(network.add_layer("Twins.Mish", [result], name="mish").output, "y")
    return network


class Ripple(UnaryPointwise):
    """x + sin(x) / 4: no library has a form for it."""

    type = "Test.Ripple"

    def pointwise(self) -> Expression:
        return Input(0) + apply("sin", Input(0)) * 0.25


def detecting(registry: Registry) -> Network:
    """Suppression of boxes, and which scores are certain: both outputs have sizes of the data."""
    network = Network("detections", registry)
    boxes = network.add_input("boxes", "float32", [1, 40, 4])
    scores = network.add_input("scores", "float32", [1, 2, 40])
    suppression = network.add_layer("NonMaxSuppression", [boxes, scores], name="nms",
                                    iou_threshold=0.4, score_threshold=0.3)  # fmt: skip
    positive = network.add_layer("Greater", [scores, np.float32(0.8)], name="sure").output
    certain = network.add_layer("NonZero", [positive], name="certain")
    for name, layer in (("selected", suppression), ("certain", certain)):
        network.mark_output(layer.outputs[0], name)
        network.mark_output(layer.outputs[1], f"{name}_count")
    return network


def gathered(registry: Registry) -> Network:
    """The rows that a mask chooses, and their sum."""
    network = Network("gathered", registry)
    values = network.add_input("values", "float32", ["N", 8])
    mask = network.add_input("mask", "bool", ["N"])
    indices = network.add_layer("NonZero", [mask], name="indices").outputs[0]
    rows = network.add_layer("Squeeze", [indices], name="rows", axes=(0,)).output
    taken = network.add_layer("Gather", [values, rows], name="taken", axis=0).output
    network.mark_output(network.add_layer("ReduceSum", [taken], name="sum", axes=(0,)).output, "y")
    network.mark_output(taken, "rows")
    return network


def detections(seed: int, spread: float) -> dict[str, Any]:
    """Boxes around a few places; the smaller the spread, the more overlap."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 10, (40, 2)) * spread
    extents = rng.uniform(0.5, 1.5, (40, 2))
    boxes = np.concatenate([centres - extents, centres + extents], axis=1)
    scores = rng.uniform(0, 1, (1, 2, 40))
    return {"boxes": boxes[None].astype(np.float32), "scores": scores.astype(np.float32)}


def choice(registry: Registry, rng: Random) -> Network:
    """An If with a body of its own for either answer."""

    def body(name: str, size: int) -> Network:
        made = Network(name, registry)
        image = made.add_input("image", "float32", [1, 16, 9, 9])
        result = convolution(made, rng, image, 8, "convolution", size)
        result = normalised(made, rng, result, "norm")
        made.mark_output(made.add_layer("Twins.Mish", [result], name="mish").output, "y")
        return made

    network = Network("choice", registry)
    flag = network.add_input("flag", "bool", [])
    image = network.add_input("image", "float32", [1, 16, 9, 9])
    bodies = {"then_body": body("near", 3), "else_body": body("far", 5)}
    chosen = network.add_layer("If", [flag, image], name="if", **bodies).output
    network.mark_output(network.add_layer("ReLU", [chosen], name="relu").output, "y")
    return network


def newton(registry: Registry) -> Network:
    """Newton's square root until it is exact enough, each guess kept."""
    body = Network("step", registry)
    body.add_input("iteration", "int64", [])
    body.add_input("condition", "bool", [])
    guess = body.add_input("guess", "float32", [4])
    number = body.add_input("number", "float32", [4])
    ratio = body.add_layer("Divide", [number, guess], name="ratio").output
    total = body.add_layer("Twins.Add", [guess, ratio], name="total").output
    half = body.add_layer("Multiply", [total, np.float32(0.5)], name="half").output
    change = body.add_layer("Abs", [body.add_layer("Subtract", [half, guess]).output]).output
    largest = body.add_layer("ReduceMax", [change], keep_dims=False).output
    goes_on = body.add_layer("Greater", [largest, np.float32(1e-3)], name="goes_on").output
    for name, tensor in (("goes_on", goes_on), ("guess", half), ("kept", half)):
        body.mark_output(tensor, f"{name}_after")

    network = Network("root", registry)
    number = network.add_input("number", "float32", [4])
    maximum = network.add_constant("maximum", np.array(50, np.int64))
    always = network.add_constant("always", np.array(True))
    start = network.add_constant("start", np.ones(4, np.float32))
    loop = network.add_layer(
        "Loop", [maximum, always, start, number], name="loop", body=body, carried=1, stacked=1
    )
    for name, tensor in zip(("root", "guesses", "count"), loop.outputs, strict=True):
        network.mark_output(tensor, name)
    return network


def int8_chain(registry: Registry, rng: Random) -> tuple[Network, dict[str, float]]:
    """Convolution, a third party's 8-bit layer, convolution; the network with the scales of all
    its tensors, and these by name."""
    network = Network("int8", registry)
    x = network.add_input("x", "float32", [2, 16, 10, 10])
    first = convolution(network, rng, x, 32, "first")
    scaled = network.add_layer("Twins.Int8Scale", [first], name="scaled", factor=1.7).output
    second = convolution(network, rng, scaled, 16, "second")
    network.mark_output(second, "y")
    values = dict(zip(["x", "first", "scaled", "second"], intermediate(network), strict=True))
    scales = {name: float(np.abs(array).max()) / 127 for name, array in values.items()}
    for tensor, name in ((x, "x"), (first, "first"), (scaled, "scaled"), (second, "second")):
        tensor.set_quantization(scales[name])
    return network, scales


def intermediate(network: Network) -> list[Any]:
    """What the float network computes: its input and every layer's output."""
    value = np.random.default_rng(0).standard_normal(network.inputs[0].desc.sizes)
    values: list[Any] = [value.astype(np.float32)]
    for layer in network.layers:
        constants = [t.value for t in layer.inputs[1:] if t is not None]
        values.append(layer.plugin.reference([values[-1], *constants])[0])
    return values


def emulated(network: Network, value: Any, scales: dict[str, float]) -> Any:
    """The network on values rounded to their scales, as 8-bit storage means it."""
    names = iter(scales)

    def rounded(array: Any, scale: Any) -> Any:
        return (np.clip(np.rint(array / scale), -128, 127) * scale).astype(np.float32)

    value = rounded(value, scales[next(names)])
    for layer in network.layers:
        constants = [t.value for t in layer.inputs[1:] if t is not None]
        if constants:
            reach = np.abs(constants[0]).max(axis=(1, 2, 3), keepdims=True)
            constants[0] = rounded(constants[0], reach / 127)
        value = rounded(layer.plugin.reference([value, *constants])[0], scales[next(names)])
    return value
