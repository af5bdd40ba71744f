"""Normalization over the channels of every pixel."""

from __future__ import annotations

import numpy as np

from ..conversion import Conversion, NotExportableError
from ..one_hot import add_repeated_channel
from .registry import converts

EPSILON = 1e-4
TINY = 1e-37
"""Lets 0 divided by the length of zeros be 0."""


@converts("Darknet.ChannelNormalization")
def channel_normalization(layer: Conversion) -> str:
    """Every value times a power of the sum over the channels, a convolution with ones."""
    kind, (channels, *area), x = layer.plugin.kind, layer.sizes(), layer.blob()
    if len(area) != 2:
        raise NotExportableError("vectors cannot be normalized over their channels")
    if kind == "positive":
        x = summed = layer.add("ReLU", [x], "relu")
    elif kind == "softmax":
        x = summed = layer.add("Exp", [x], "exp")
    elif kind == "euclidean":
        summed = layer.add("Power", [x], "squares", power=2.0)
    else:
        raise NotExportableError("Caffe has no maximum over the channels")
    total = layer.add(
        "Convolution", [summed], "total", weights=[np.ones((1, channels, 1, 1), np.float32)],
        num_output=1, bias_term=False, kernel_size=[1],
    )  # fmt: skip
    power, shift = (-0.5, TINY) if kind == "euclidean" else (-1.0, EPSILON)
    factor = layer.add("Power", [total], "factor", power=power, shift=shift)
    factors = add_repeated_channel(layer, factor, "factors", channels)
    return layer.add("Eltwise", [x, factors], "product", operation="PROD")
