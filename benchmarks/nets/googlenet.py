"""GoogLeNet as in the Caffe distribution (arXiv:1409.4842)."""

from __future__ import annotations

from benchmarks.nets.recipe import Recipe

# filters of 1x1, of 3x3 reduced and whole, of 5x5 reduced and whole, behind the pooling
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


def googlenet(seed: int = 0) -> Recipe:
    """The network as a recipe; input 3 x 224 x 224."""
    net = Recipe(3, 224, 224, seed)
    x = _convolution(net, "image", 64, 7, 2)
    x = net.response_normalization(net.max_pooling(x, 3, 2, 0, 0, ceil=True))
    x = _convolution(net, _convolution(net, x, 64, 1), 192, 3)
    x = net.max_pooling(net.response_normalization(x), 3, 2, 0, 0, ceil=True)
    for name, filters in INCEPTIONS.items():
        if name in ("4a", "5a"):
            x = net.max_pooling(x, 3, 2, 0, 0, ceil=True)
        x = _inception(net, x, *filters)
    net.output(net.softmax(net.fully_connected(net.global_average(x), 1000, 1024)))
    return net


def _inception(
    net: Recipe, x: str, one: int, reduce3: int, three: int, reduce5: int, five: int, pooled: int
) -> str:
    return net.concatenation([
        _convolution(net, x, one, 1),
        _convolution(net, _convolution(net, x, reduce3, 1), three, 3),
        _convolution(net, _convolution(net, x, reduce5, 1), five, 5),
        _convolution(net, net.max_pooling(x, 3, 1, 1, 1), pooled, 1),
    ])


def _convolution(net: Recipe, x: str, filters: int, kernel: int, stride: int = 1) -> str:
    return net.convolution(x, filters, kernel, stride, normalise=False, activation="relu")
