"""MobileNetV2 (arXiv:1801.04381), width 1."""

from __future__ import annotations

from benchmarks.nets.recipe import Recipe

# (expansion, output channels, repeats, first stride)
STAGES = [
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
]  # fmt: skip


def mobilenetv2(seed: int = 0) -> Recipe:
    """The network as a recipe; input 3 x 224 x 224."""
    net = Recipe(3, 224, 224, seed)
    channels = 32
    x = net.convolution("image", channels, 3, 2, activation="relu6")
    for expansion, output, repeats, first in STAGES:
        for index in range(repeats):
            stride = first if index == 0 else 1
            before, wide = x, channels * expansion
            if expansion > 1:
                x = net.convolution(x, wide, 1, activation="relu6")
            x = net.convolution(x, wide, 3, stride, depthwise=True, activation="relu6")
            x = net.convolution(x, output, 1, activation=None)
            if stride == 1 and channels == output:
                x = net.add(before, x)
            channels = output
    x = net.global_average(net.convolution(x, 1280, 1, activation="relu6"))
    net.output(net.fully_connected(x, 1000, 1280))
    return net
