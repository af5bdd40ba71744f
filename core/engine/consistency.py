"""What a plan says of a layer's outputs against what the layer's plug-in says.

Kernels are recorded for the shapes that a plan stores, so a plan must not store other ones
than the plug-ins themselves derive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from ...plugins import (
    DataType,
    DimLike,
    LayerPlugin,
    PlanError,
    PlugrtError,
    Shape,
    TensorDesc,
    format_shape,
    symbol,
)
from ...plugins.dims import DATA_DEPENDENT, Dim, substitute, symbols
from .plain import one_line

MAXIMUM_VALUE = 65536
"""Elements of a tensor whose contents shape arithmetic may follow."""

EIGHT_BITS = (DataType.INT8, DataType.UINT8, DataType.FLOAT8_E4M3FN)
NARROW_FLOATS = (DataType.FLOAT16, DataType.BFLOAT16)


@dataclass(frozen=True)
class Derived:
    """What the plug-in says of its outputs. `values` are contents known at definition;
    `sizes` are the data-dependent sizes, by the index of the output that holds them."""

    values: list[Any]
    sizes: dict[int, str] = field(default_factory=dict)


def check_outputs(
    plugin: LayerPlugin,
    inputs: Sequence[TensorDesc | None],
    outputs: Sequence[TensorDesc],
    size_names: Mapping[int, str],
    what: str,
) -> Derived:
    """Compare the stored outputs with the plug-in's own rules.

    `inputs` are the layer's own ones, with contents where they are known; `size_names` gives
    the stored name of the data-dependent size in output k. Raises PlanError, also when the
    plug-in's rules fail in any way.
    """
    try:
        return _check(plugin, inputs, outputs, size_names)
    except PlanError as error:
        raise PlanError(f"{what}: {error}") from None
    except Exception as error:
        raise PlanError(
            f"{what}: its plug-in refuses the stored inputs ({one_line(error)}); build the plan "
            "again"
        ) from error


def _check(
    plugin: LayerPlugin, inputs: Sequence[TensorDesc | None], outputs: Sequence[TensorDesc],
    size_names: Mapping[int, str],
) -> Derived:  # fmt: skip
    given: Any = inputs
    count = plugin.getNbOutputs()
    if count != len(outputs):
        raise PlanError(f"{len(outputs)} outputs are stored and its plug-in has {count}")
    values: list[Any] = []
    sizes: dict[int, str] = {}
    for index, stored in enumerate(outputs):
        shape = tuple(plugin.getOutputDimensions(index, given))
        expected = _named(shape, size_names, sizes)
        if expected != stored.shape:
            raise PlanError(
                f"output {index} is stored as {format_shape(stored.shape)} and its plug-in says "
                f"{format_shape(expected)}; the plan is damaged, or the plug-in changed: build "
                "it again"
            )
        _check_type(plugin, index, inputs, stored)
        values.append(_value(plugin, index, given, stored) if _is_small(expected) else None)
    return Derived(values, sizes)


def _is_small(shape: Shape) -> bool:
    sizes = [size for size in shape if isinstance(size, int)]
    return len(sizes) == len(shape) and prod(sizes) <= MAXIMUM_VALUE


def _named(shape: Shape, size_names: Mapping[int, str], sizes: dict[int, str]) -> Shape:
    """A plug-in's shape with its data-dependent sizes named as stored."""
    names: dict[str, DimLike] = {}
    for found in symbols(shape).values():
        if found.name.startswith(DATA_DEPENDENT):
            output = int(found.name.removeprefix(DATA_DEPENDENT))
            if output not in size_names:
                raise PlanError(
                    f"output {output} holds a data-dependent size that the plan does not name; "
                    "build it again"
                )
            sizes[output] = size_names[output]
            names[found.name] = symbol(size_names[output], found.bound)
    return tuple(
        substitute(dim, names) if isinstance(dim, Dim) else int(dim) for dim in shape
    )


def _check_type(
    plugin: LayerPlugin, index: int, inputs: Sequence[TensorDesc | None], stored: TensorDesc
) -> None:
    """The stored type is the plug-in's, or 8 bits in the place of a float."""
    if plugin.role == "cast" or (index == 0 and plugin.epilogue):
        return  # the core decides; supportsFormat() has the last word
    as_stored: Any = [None if d is None else d.dtype for d in inputs]
    as_meant: Any = [None if d is None else _meant(d) for d in inputs]
    allowed: set[DataType] = set()
    for types in (as_meant, as_stored):
        try:
            allowed.add(plugin.getOutputDataType(index, types))
        except PlugrtError:  # floats of several widths beside each other, as narrowed inputs are
            if types is as_stored and not allowed:
                raise
    if _meant(stored) not in allowed and stored.dtype not in allowed:
        names = " or ".join(sorted(dtype.value for dtype in allowed))
        raise PlanError(
            f"output {index} is stored as {stored.dtype.value} and its plug-in says {names}; "
            "build the plan again"
        )


def _meant(desc: TensorDesc) -> DataType:
    """The type that 8-bit storage with a scale, or a narrower float, may stand for."""
    is_scaled = desc.dtype in EIGHT_BITS and desc.quantization is not None
    return DataType.FLOAT32 if is_scaled or desc.dtype in NARROW_FLOATS else desc.dtype


def _value(plugin: LayerPlugin, index: int, inputs: Any, stored: TensorDesc) -> Any:
    """Contents known at definition, of the stored shape and type."""
    value = plugin.getOutputValue(index, inputs)
    if value is None:
        return None
    array = np.asarray(value)
    if array.shape != stored.shape:
        raise PlanError(
            f"output {index} is stored as {format_shape(stored.shape)} and its plug-in gives "
            f"contents of shape {format_shape(array.shape)}; build the plan again"
        )
    return array
