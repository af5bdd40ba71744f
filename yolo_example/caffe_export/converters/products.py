"""Convolution, products with matrices, and batch normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from plugrt.plugins import Array

from ..conversion import Conversion, NotExportableError
from .registry import converts


@converts("Convolution")
def convolution(layer: Conversion) -> str:
    plugin, weights = layer.plugin, layer.constant(1)
    if weights.ndim != 4:
        raise NotExportableError(f"a convolution over {weights.ndim - 2} dimensions is none here")
    down, across = plugin.strides or (1, 1)
    if len(set(plugin.padding)) > 1 or len(set(plugin.dilations)) > 1:
        raise NotExportableError(
            f"padding {plugin.padding} and dilations {plugin.dilations} are not the same in all "
            "directions"
        )
    padding, dilation = max(plugin.padding, default=0), max(plugin.dilations, default=1)
    parameters: dict[str, Any] = {"num_output": weights.shape[0]}
    parameters |= sides("kernel_size", "kernel", *weights.shape[2:])
    parameters |= {"pad": [padding]} if padding else {}
    parameters |= sides("stride", "stride", down, across) if (down, across) != (1, 1) else {}
    parameters |= {"dilation": [dilation]} if dilation > 1 else {}
    parameters |= {"group": plugin.groups} if plugin.groups > 1 else {}
    return layer.add(
        "Convolution", [layer.blob()], "convolution", weights=_operands(layer),
        bias_term=layer.input_count > 2, **parameters,
    )  # fmt: skip


@converts("FullyConnected")
def fully_connected(layer: Conversion) -> str:
    return layer.add(
        "InnerProduct", [layer.blob()], "product", weights=_operands(layer),
        num_output=layer.constant(1).shape[0], bias_term=layer.input_count > 2,
    )  # fmt: skip


@converts("BatchNormalization")
def batch_normalization(layer: Conversion) -> str:
    """BatchNorm subtracts the mean and divides; Scale has the factor and the bias."""
    if layer.plugin.axis != 1:
        raise NotExportableError("Caffe normalizes channels only, and these are on another axis")
    factors, biases, means, variances = (layer.constant(index) for index in range(1, 5))
    epsilon, outer = layer.plugin.epsilon, layer.plugin.outer_epsilon
    if outer:
        # Caffe adds nothing beside the root: it goes into the variances.
        deviations = np.sqrt(variances.astype(np.float64) + epsilon) + outer
        epsilon, variances = 0.0, (deviations**2).astype(np.float32)
    # Caffe divides means and variances by the third blob.
    statistics = (means, variances, np.ones(1, np.float32))
    blob = layer.add(
        "BatchNorm", [layer.blob()], "batch_norm", weights=statistics, use_global_stats=True,
        eps=epsilon,
    )  # fmt: skip
    return layer.add("Scale", [blob], "scale", weights=(factors, biases), bias_term=True)


@converts("Scale")
def scale(layer: Conversion) -> str:
    return layer.add(
        "Scale", [layer.blob()], "scale", weights=_operands(layer), axis=layer.plugin.axis,
        bias_term=layer.input_count > 2,
    )  # fmt: skip


@converts("Darknet.Implicit")
def implicit(layer: Conversion) -> str:
    """A product with zeros: what remains are the biases."""
    values, blob, sizes = layer.constant(0), layer.blob(1), layer.sizes(1)
    if len(sizes) == 3:
        blob = layer.add("Pooling", [blob], "mean", pool="AVE", global_pooling=True)
    weights = [np.zeros((values.size, sizes[0]), np.float32), values.ravel()]
    blob = layer.add(
        "InnerProduct", [blob], "values", weights=weights, num_output=values.size, bias_term=True
    )
    return layer.add_reshape(blob, "result", *layer.output_sizes)


def sides(both: str, prefix: str, height: int, width: int) -> dict[str, Any]:
    """Caffe's field `both` for equal values, else its fields for height and width."""
    if height == width:
        return {both: [height]}
    return {f"{prefix}_h": height, f"{prefix}_w": width}


def _operands(layer: Conversion) -> list[Array]:
    return [layer.constant(index) for index in range(1, layer.input_count)]
