"""YOLOv3 (arXiv:1804.02767), 416 x 416, 80 classes, up to the convolutions before its YOLO layers.
"""

from __future__ import annotations

from benchmarks.nets.recipe import Recipe


def yolov3(size: int = 416, seed: int = 0) -> Recipe:
    """The network as a recipe."""
    net = Recipe(3, size, size, seed)
    x = net.convolution("image", 32, 3)
    stages = []
    for width, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        x = net.convolution(x, width, 3, 2)
        for _ in range(blocks):
            x = net.add(net.convolution(net.convolution(x, width // 2, 1), width, 3), x)
        stages.append(x)
    for width, skip in ((1024, None), (512, stages[3]), (256, stages[2])):
        if skip is not None:
            x = net.upsample(net.convolution(x, width // 2, 1), 2)
            x = net.concatenation([x, skip])
        for _ in range(2):
            x = net.convolution(net.convolution(x, width // 2, 1), width, 3)
        x = net.convolution(x, width // 2, 1)
        y = net.convolution(x, width, 3)
        net.output(net.convolution(y, 255, 1, normalise=False, activation=None))
    return net
