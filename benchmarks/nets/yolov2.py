"""YOLOv2 (arXiv:1612.08242), 416 x 416, 80 classes, up to the convolution before its region layer.
"""

from __future__ import annotations

from benchmarks.nets.recipe import Recipe


def yolov2(size: int = 416, seed: int = 0) -> Recipe:
    """The network as a recipe."""
    net = Recipe(3, size, size, seed)
    x = net.max_pooling(net.convolution("image", 32, 3), 2, 2, 0, 0)
    x = net.max_pooling(net.convolution(x, 64, 3), 2, 2, 0, 0)
    for width in (128, 256):
        x = _bottleneck(net, x, width, 1)
        x = net.max_pooling(x, 2, 2, 0, 0)
    x = skip = _bottleneck(net, x, 512, 2)
    x = _bottleneck(net, net.max_pooling(x, 2, 2, 0, 0), 1024, 2)
    for _ in range(2):
        x = net.convolution(x, 1024, 3)
    side = net.space_to_depth(net.convolution(skip, 64, 1), 2)
    x = net.convolution(net.concatenation([side, x]), 1024, 3)
    net.output(net.convolution(x, 425, 1, normalise=False, activation=None))
    return net


def _bottleneck(net: Recipe, x: str, width: int, repeats: int) -> str:
    x = net.convolution(x, width, 3)
    for _ in range(repeats):
        x = net.convolution(net.convolution(x, width // 2, 1), width, 3)
    return x
