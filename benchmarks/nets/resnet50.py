"""ResNet-50 (arXiv:1512.03385), strides in the 3x3 convolutions."""

from __future__ import annotations

from benchmarks.nets.recipe import Recipe


def resnet50(seed: int = 0) -> Recipe:
    """The network as a recipe; input 3 x 224 x 224."""
    net = Recipe(3, 224, 224, seed)
    x = net.max_pooling(net.convolution("image", 64, 7, 2, activation="relu"), 3, 2, 1, 1)
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = net.convolution(x, width, 1, activation="relu")
            y = net.convolution(y, width, 3, stride, activation="relu")
            y = net.convolution(y, 4 * width, 1, activation=None)
            if not block:
                x = net.convolution(x, 4 * width, 1, stride, activation=None)
            x = net.relu(net.add(y, x))
    net.output(net.fully_connected(net.global_average(x), 1000, 2048))
    return net
