"""What a layer's plug-in says about its outputs, checked."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...plugins import (
    DataType,
    DimLike,
    LayerPlugin,
    PluginError,
    PlugrtError,
    Shape,
    ShapeError,
    TensorDesc,
    format_shape,
    symbol,
)
from ...plugins.dims import DATA_DEPENDENT, Dim, is_static, substitute, symbols
from .naming import with_text


def infer_outputs(
    name: str, plugin: LayerPlugin, inputs: Sequence[TensorDesc | None],
    types: Sequence[DataType] | None = None,
) -> list[TensorDesc]:  # fmt: skip
    """Descriptions of a layer's outputs; its data-dependent sizes named after the layer. The
    plug-in is not asked about the `types` of outputs that are stored otherwise than it says.

    Raises what the plug-in raises, naming the layer and its inputs; PluginError where the
    plug-in fails otherwise or breaks the contract.
    """
    where = f"layer {name!r} ({plugin.type})"
    try:
        outputs = [
            _output(name, plugin, index, inputs, types) for index in range(plugin.getNbOutputs())
        ]
    except PlugrtError as error:
        given = ", ".join("-" if d is None else str(d) for d in inputs) or "none"
        raise with_text(error, f"{where}: {error}; inputs: {given}") from error
    except Exception as error:
        given = ", ".join("-" if d is None else str(d) for d in inputs) or "none"
        raise PluginError(
            f"{where}: its plug-in failed on inputs {given}: {type(error).__name__}: {error}"
        ) from error
    for desc in outputs:
        if any(isinstance(dim, int) and dim < 0 for dim in desc.shape):
            raise ShapeError(
                f"{where}: output shape {format_shape(desc.shape)} has a negative size; the "
                "input is too small for these attributes"
            )
    return outputs


def _output(
    name: str, plugin: LayerPlugin, index: int, inputs: Sequence[TensorDesc | None],
    types: Sequence[DataType] | None,
) -> TensorDesc:  # fmt: skip
    present: Any = inputs
    shape = tuple(map(_dim, plugin.getOutputDimensions(index, present)))
    if types is None:
        given: Any = [None if desc is None else desc.dtype for desc in inputs]
        dtype = DataType.of(plugin.getOutputDataType(index, given))
    else:
        dtype = types[index]
    value = plugin.getOutputValue(index, present)
    desc = TensorDesc(dtype, qualify(shape, name))
    if value is None:
        return desc
    desc = replace(desc, value=np.asarray(value))
    _check_value(index, desc, desc.value)
    return desc


def _check_value(index: int, desc: TensorDesc, value: Any) -> None:
    """Known contents have the shape, and if they are numbers the type, of the output."""
    wrong_type = desc.is_constant and value.dtype != desc.dtype.numpy
    if wrong_type or not is_static(desc.shape) or value.shape != desc.sizes:
        raise PluginError(
            f"getOutputValue({index}) gives {value.dtype} of shape {format_shape(value.shape)} "
            f"for {desc}; return an array of this type and shape, or None"
        )


def qualify(shape: Shape, name: str) -> Shape:
    """Data-dependent symbols of a layer's shape rule under the layer's own name."""
    values: Mapping[str, DimLike] = {
        own: symbol(size_name(name, int(own.removeprefix(DATA_DEPENDENT))), found.bound)
        for own, found in symbols(shape).items()
        if own.startswith(DATA_DEPENDENT)
    }
    return tuple(substitute(dim, values) for dim in shape) if values else shape


def size_name(layer: str, output: int) -> str:
    """Name of the size that output `output` of a layer reports."""
    return f"{layer}.size{output}"


def _dim(dim: Any) -> DimLike:
    return dim if isinstance(dim, Dim) else operator.index(dim)
