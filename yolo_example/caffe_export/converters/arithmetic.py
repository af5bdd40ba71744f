"""Sums and products."""

from __future__ import annotations

import numpy as np

from plugrt.plugins import Array

from ..conversion import Conversion, NotExportableError
from ..one_hot import add_repeated_channel
from .registry import converts


@converts("Add", "Sum")
def addition(layer: Conversion) -> str:
    for index in range(layer.input_count):
        if layer.is_constant(index) or layer.sizes(index) != layer.output_sizes:
            raise NotExportableError("Caffe adds blobs of equal sizes only")
    return layer.add("Eltwise", layer.blobs(), "sum", operation="SUM")


@converts("Power")
def power(layer: Conversion) -> str:
    exponent = layer.constant(1)
    if exponent.size != 1:
        raise NotExportableError("Caffe has one exponent for all values")
    return layer.add("Power", [layer.blob()], "power", power=float(exponent.item()))


@converts("Multiply")
def multiplication(layer: Conversion) -> str:
    """By a number; value by value; by one number per channel, or per pixel, of every image."""
    for values, factors in ((0, 1), (1, 0)):
        if layer.is_constant(values) or layer.sizes(values) != layer.output_sizes:
            continue
        if layer.is_constant(factors):
            return _by_constants(layer, values, factors)
        return _by_blob(layer, values, factors)
    raise NotExportableError("both factors would have to grow")


def _by_constants(layer: Conversion, values: int, factors: int) -> str:
    numbers, bottom, sizes = layer.constant(factors), layer.blob(values), layer.sizes(values)
    if numbers.size == 1:
        return layer.add("Power", [bottom], "product", scale=float(numbers.item()))
    if numbers.size == sizes[0] and numbers.shape[-len(sizes) :] == (
        sizes[0],
        *(1,) * len(sizes[1:]),
    ):
        return layer.add("Scale", [bottom], "product", weights=[numbers.ravel()], axis=1)
    if numbers.ndim > len(sizes) and numbers.shape[0] != 1:
        raise NotExportableError("factors differ from image to image")
    return add_factors(layer, bottom, np.broadcast_to(numbers, (1, *sizes))[0])


def add_factors(layer: Conversion, blob: str, factors: Array) -> str:
    """`blob` times one number for every place of an image.

    As a vector: Caffe's Scale takes any axes, but OpenCV folds it into a convolution before
    it as if the factors were those of channels.
    """
    blob = layer.add_reshape(blob, "vector", factors.size)
    blob = layer.add("Scale", [blob], "scaled", weights=[factors.ravel()], axis=1)
    return layer.add_reshape(blob, "product", *factors.shape)


def _by_blob(layer: Conversion, values: int, factors: int) -> str:
    bottom, sizes = layer.blob(factors), layer.sizes(factors)
    channels, *area = layer.output_sizes
    if sizes == (channels, *area):
        return layer.add("Eltwise", [layer.blob(values), bottom], "product", operation="PROD")
    if sizes == (channels, 1, 1):
        # From axis 0, Scale takes one number for every channel of every image.
        bottom = layer.add_reshape(bottom, "factors", channels)
        return layer.add("Scale", [layer.blob(values), bottom], "product", axis=0)
    if sizes == (1, *area):
        bottom = add_repeated_channel(layer, bottom, "factors", channels)
        return layer.add("Eltwise", [layer.blob(values), bottom], "product", operation="PROD")
    raise NotExportableError(f"Caffe cannot multiply {(channels, *area)} by {sizes}")
