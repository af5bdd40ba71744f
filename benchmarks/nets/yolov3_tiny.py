"""YOLOv3-tiny (416 x 416, 80 classes) up to the convolutions before its YOLO layers."""

from __future__ import annotations

from benchmarks.nets.recipe import Recipe


def yolov3_tiny(size: int = 416, seed: int = 0) -> Recipe:
    """The network as a recipe."""
    net = Recipe(3, size, size, seed)
    x = "image"
    skip = x
    for filters in (16, 32, 64, 128, 256):
        x = skip = net.convolution(x, filters, 3)
        x = net.max_pooling(x, 2, 2)
    x = net.convolution(x, 512, 3)
    x = net.max_pooling(x, 2, 1)
    x = net.convolution(x, 1024, 3)
    shared = net.convolution(x, 256, 1)
    x = net.convolution(shared, 512, 3)
    net.output(net.convolution(x, 255, 1, normalise=False, activation=None))
    x = net.upsample(net.convolution(shared, 128, 1), 2)
    x = net.convolution(net.concatenation([x, skip]), 256, 3)
    net.output(net.convolution(x, 255, 1, normalise=False, activation=None))
    return net
