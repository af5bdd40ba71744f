"""A planned network without what was decided for one machine: formats, narrow types, tactics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...plugins import Array, DataType, Format, Quantization
from ..graph import Layer, Network, Tensor
from ..graph.naming import naming_layer
from .copying import graph_attributes

NARROW_FLOATS = (DataType.BFLOAT16, DataType.FLOAT16)

EIGHT_BITS = (DataType.INT8, DataType.UINT8, DataType.FLOAT8_E4M3FN)

CONVERSIONS = ("cast", "reformat")
"""Roles of layers that the core inserts between formats and types."""


def make_portable(network: Network, narrowed: bool) -> None:
    """Undo, in place and in all bodies, what can be decided anew; what was fused stays fused.

    Tensors in 8 bits are float32 again, with the scales that they had. `narrowed` says that
    the build stored floats in 16 bits where that was faster: these too are float32 again. The
    network's inputs and outputs keep their types.
    """
    for layer in network.layers:
        for body in graph_attributes(layer.plugin).values():
            make_portable(body, narrowed)
    declared = [tensor.dtype for tensor in network.outputs]
    _widen(network, narrowed)
    for layer in list(network.layers):
        layer.kernel, layer.on_host = None, False
        if layer.plugin.role in CONVERSIONS:
            _bypass(network, layer)
    for tensor in network.tensors.values():
        tensor.format = Format.LINEAR
    for position, (tensor, dtype) in enumerate(zip(network.outputs, declared, strict=True)):
        if tensor.dtype is not dtype:
            network.outputs[position] = _cast(network, tensor, dtype)


def _widen(network: Network, narrowed: bool) -> None:
    def is_low(tensor: Tensor) -> bool:
        if tensor.dtype in EIGHT_BITS:
            return tensor.quantization is not None
        return narrowed and tensor.dtype in NARROW_FLOATS

    for tensor in network.tensors.values():
        if tensor.is_constant and tensor.value is not None and is_low(tensor):
            tensor.value = _wide(tensor.value, tensor.quantization)
            tensor.dtype = DataType.FLOAT32
    for layer in network.layers:
        types = [None if t is None else t.dtype for t in layer.own_inputs]
        for index, tensor in enumerate(layer.outputs):
            if not is_low(tensor):
                continue
            if layer.plugin.role in CONVERSIONS:
                tensor.dtype = DataType.FLOAT32
                continue
            with naming_layer(layer.name, layer.plugin, "getOutputDataType()"):
                tensor.dtype = layer.plugin.getOutputDataType(index, types)  # type: ignore[arg-type]


def _wide(stored: Array, quantization: Quantization | None) -> Array:
    """The real numbers behind stored ones."""
    if quantization is None:
        return stored.astype(np.float32)
    shape = [1] * stored.ndim
    if quantization.axis is not None:
        shape[quantization.axis] = -1
    scale = np.asarray(quantization.scale).reshape(shape)
    zero = np.asarray(quantization.zero_point)
    zero = zero.reshape(shape) if zero.size > 1 else zero
    real: Array = ((stored.astype(np.float64) - zero) * scale).astype(np.float32)
    return real


def _bypass(network: Network, layer: Layer) -> None:
    """Remove a conversion that converts nothing any more."""
    (source,), (result,) = layer.present_inputs, layer.outputs
    if source.dtype is not result.dtype or layer.epilogue:
        return
    if result.is_output and (source.producer is None or source.is_output):
        return  # every output has a tensor of its own
    if source.quantization is None:
        source.quantization = result.quantization
    network.replace_tensor(result, source)
    network.remove_layer(layer)


def _cast(network: Network, tensor: Tensor, dtype: DataType) -> Tensor:
    plugin = network.registry.by_role("cast")()
    desc = replace(tensor.desc, dtype=dtype, value=None)
    name = network.unique_name(f"{tensor.name}.{dtype.value}")
    return network.insert_layer(len(network.layers), plugin, [tensor], name, [desc]).output
