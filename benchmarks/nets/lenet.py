"""LeNet of Caffe's MNIST example."""

from __future__ import annotations

from benchmarks.nets.recipe import Recipe


def lenet(seed: int = 0) -> Recipe:
    """The network as a recipe; input 1 x 28 x 28."""
    net = Recipe(1, 28, 28, seed)
    x = "image"
    for filters in (20, 50):
        x = net.convolution(x, filters, 5, normalise=False, activation=None, padding=0)
        x = net.max_pooling(x, 2, 2, 0, 0)
    x = net.fully_connected(x, 500, 50 * 4 * 4, relu=True)
    net.output(net.softmax(net.fully_connected(x, 10, 500)))
    return net
