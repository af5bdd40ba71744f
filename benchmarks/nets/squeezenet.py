"""SqueezeNet 1.1 (github.com/forresti/SqueezeNet)."""

from __future__ import annotations

from benchmarks.nets.recipe import Recipe


def squeezenet(seed: int = 0) -> Recipe:
    """The network as a recipe; input 3 x 227 x 227."""
    net = Recipe(3, 227, 227, seed)
    x = net.convolution("image", 64, 3, 2, normalise=False, activation="relu", padding=0)
    for squeezes in ((16, 16), (32, 32), (48, 48, 64, 64)):
        x = net.max_pooling(x, 3, 2, 0, 0, ceil=True)
        for squeeze in squeezes:
            x = _fire(net, x, squeeze, 4 * squeeze)
    x = net.convolution(x, 1000, 1, normalise=False, activation="relu")
    net.output(net.softmax(net.global_average(x)))
    return net


def _fire(net: Recipe, x: str, squeeze: int, expand: int) -> str:
    x = net.convolution(x, squeeze, 1, normalise=False, activation="relu")
    sides = [
        net.convolution(x, expand, kernel, normalise=False, activation="relu")
        for kernel in (1, 3)
    ]
    return net.concatenation(sides)
