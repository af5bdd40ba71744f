"""Shape rules once more, when the sizes are numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...plugins import (
    Array,
    DataType,
    Format,
    PluginError,
    ShapeError,
    TensorDesc,
    format_shape,
)
from ...plugins.dims import evaluate, evaluate_shape
from .elements import Layer, Tensor
from .inference import infer_outputs
from .network import Network


def check_shapes(network: Network, sizes: Mapping[str, int]) -> None:
    """Ask every layer for its output shapes at these sizes; data-dependent ones at their bound.

    Raises ShapeError naming a layer that cannot work on them, PluginError for one whose shape
    rule says something else than it said about symbols.
    """
    for layer in network.layers:
        for tensor, now in zip(layer.outputs, _inferred(layer, sizes), strict=True):
            planned = evaluate_shape(tensor.shape, sizes)
            if evaluate_shape(now.shape, sizes) != planned:
                raise PluginError(
                    f"layer {layer.name!r} ({layer.plugin.type}): getOutputDimensions() gives "
                    f"{format_shape(now.shape)}, but {format_shape(planned)} by its rule for "
                    f"{format_shape(tensor.shape)}; use arithmetic that holds for all sizes"
                )


def _inferred(layer: Layer, sizes: Mapping[str, int]) -> list[TensorDesc]:
    own = [None if t is None else _concrete(t, sizes) for t in layer.own_inputs]
    # Inputs may be in types that the layer's rule for types would not have beside each other.
    return infer_outputs(layer.name, layer.plugin, own, [t.dtype for t in layer.outputs])


def _concrete(tensor: Tensor, sizes: Mapping[str, int]) -> TensorDesc:
    shape = evaluate_shape(tensor.shape, sizes)
    if min(shape, default=0) < 0:
        raise ShapeError(f"tensor {tensor.name!r} would have the shape {format_shape(shape)}")
    value = tensor.value
    if value is not None and value.dtype == object:
        value = _numbers(value, tensor, sizes)
    if tensor.quantization is not None:  # 8-bit storage is no business of the layer's rules
        return TensorDesc(DataType.FLOAT32, shape)
    return replace(tensor.desc, shape=shape, format=Format.LINEAR, value=value)


def _numbers(dims: Array, tensor: Tensor, sizes: Mapping[str, int]) -> Array:
    values: list[Any] = [evaluate(dim, sizes) for dim in dims.reshape(-1)]
    return np.array(values, tensor.dtype.numpy).reshape(dims.shape)
