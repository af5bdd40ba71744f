"""Layers that move values: reshaping, upsampling, reorg."""

from __future__ import annotations

import numpy as np

from ..conversion import Conversion, NotExportableError
from ..one_hot import block_kernel
from .registry import converts


@converts("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def reshaping(layer: Conversion) -> str:
    if layer.input_count > 1:
        raise NotExportableError("its shape is computed")
    return layer.add_reshape(layer.blob(), "reshape", *layer.output_sizes)


@converts("Upsample")
def upsampling(layer: Conversion) -> str:
    """A transposed convolution whose windows do not overlap repeats every pixel."""
    if layer.plugin.mode != "nearest" or len(set(layer.plugin.scales)) > 1:
        raise NotExportableError("only pixels can be repeated, as often in both directions")
    channels, stride = layer.sizes()[0], layer.plugin.scales[0]
    kernel = np.ones((channels, 1, stride, stride), np.float32)
    return layer.add(
        "Deconvolution", layer.blobs(), "repeated", weights=(kernel,), num_output=channels,
        bias_term=False, kernel_size=[stride], stride=[stride], group=channels,
    )  # fmt: skip


@converts("Darknet.Reorg")
def reorg(layer: Conversion) -> str:
    """A convolution with one 1 per output, strided by its own size: Permute, which would need
    no weights, is no layer of Caffe's but of some forks."""
    plugin, blob = layer.plugin, layer.blob()
    stride, (channels, height, width) = plugin.stride, layer.sizes()
    if plugin.reverse:
        channels = layer.output_sizes[0]
        return layer.add(
            "Deconvolution", [blob], "moved", weights=(block_kernel(channels, stride),),
            num_output=channels, bias_term=False, kernel_size=[stride], stride=[stride],
        )  # fmt: skip
    if plugin.order == "darknet":
        # Darknet moves the pixels of an image of fewer, larger channels.
        channels //= stride**2
        blob = layer.add_reshape(blob, "seen", channels, height * stride, width * stride)
    blob = layer.add(
        "Convolution", [blob], "moved", weights=(block_kernel(channels, stride),),
        num_output=channels * stride**2, bias_term=False, kernel_size=[stride], stride=[stride],
    )  # fmt: skip
    if plugin.order == "darknet":
        blob = layer.add_reshape(blob, "result", *layer.output_sizes)
    return blob
