"""YOLO-Fastest 1.1 (320 x 320, 80 classes) up to the convolutions before its YOLO layers."""

from __future__ import annotations

from benchmarks.nets.recipe import Recipe

# (expanded channels, output channels, stride, repeats with residual) of the backbone's blocks
STAGES = [
    (8, 4, 1, 1), (24, 8, 2, 0), (32, 8, 1, 2), (32, 8, 2, 0), (48, 8, 1, 2), (48, 16, 1, 0),
    (96, 16, 1, 4), (96, 24, 2, 0), (136, 24, 1, 4), (136, 48, 2, 0), (224, 48, 1, 5),
]  # fmt: skip
ANCHOR_CHANNELS = 255


def yolo_fastest(size: int = 320, seed: int = 0) -> Recipe:
    """The network as a recipe."""
    net = Recipe(3, size, size, seed)
    x = net.convolution("image", 8, 3, 2)
    x = _inverted(net, x, 8, 4, 1, residual=False)
    skip = x
    for expanded, output, stride, repeats in STAGES:
        if repeats == 0:
            skip = x
            x = net.convolution(x, expanded, 1)
            x = _after_expansion(net, x, expanded, output, stride)
        for _ in range(repeats):
            x = _inverted(net, x, expanded, output, stride, residual=True)
    pools = [net.max_pooling(x, kernel, 1) for kernel in (9, 5, 3)]
    shared = net.convolution(net.concatenation([*pools, x]), 96, 1)
    net.output(_head(net, shared, 96))
    net.output(_head(net, net.concatenation([net.upsample(shared, 2), skip]), 120))
    return net


def _inverted(
    net: Recipe, x: str, expanded: int, output: int, stride: int, residual: bool
) -> str:
    y = net.convolution(x, expanded, 1)
    y = _after_expansion(net, y, expanded, output, stride)
    return net.add(y, x) if residual else y


def _after_expansion(net: Recipe, x: str, expanded: int, output: int, stride: int) -> str:
    x = net.convolution(x, expanded, 3, stride, depthwise=True)
    return net.convolution(x, output, 1, activation=None)


def _head(net: Recipe, x: str, channels: int) -> str:
    for _ in range(2):
        x = net.convolution(x, channels, 5, depthwise=True)
        x = net.convolution(x, channels, 1, activation=None)
    return net.convolution(x, ANCHOR_CHANNELS, 1, normalise=False, activation=None)
