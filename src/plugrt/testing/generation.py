"""Cases for layers that give no examples: found by trying, guided by names and the schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product
from math import prod
from typing import Any

import numpy as np

from plugrt.core.runtime.standalone import output_descs
from plugrt.plugins import Array, DataType, LayerPlugin, PlugrtError, attribute

from .cases import Case, default_constants

FIRST_SHAPES = ((2, 16, 6, 5), (3, 12), (2, 6, 5), (4,), ())
FIRST_TYPES = (DataType.FLOAT32, DataType.BOOL, DataType.INT64, DataType.INT8)
TRIES_PER_SHAPE = 400
VARIADIC_COUNT = 2
CASES = 12
"""At most so many cases are kept; trying ends there."""

_VALUES: dict[str, tuple[Any, ...]] = {
    "bool": (False, True),
    "int": (2, 1, 0, 3),
    "float": (0.5,),
    "str": ("",),
    "DataType": (DataType.FLOAT32, DataType.INT8),
    "tuple[int, ...]": ((2, 2), (1,), (0,), (1, 2), (0, 1), (0, 2, 1), (0, -1), (0, 2, 3, 1),
                        (0, 0, 1, 1), (1, 0, 0, 1), (8, 8), (0, 0, 0, 0, 1, 1, 1, 1)),
    "tuple[float, ...]": ((0.05,), (1.0, 2.0)),
}  # fmt: skip
"""Values to try for an attribute, by its kind."""

SHAPES_PER_CASE = 4
"""So many other shapes of the further inputs are kept."""

VALUES_PER_ATTRIBUTE = 2
"""So many other values of an optional tuple are kept."""


def generated_cases(layer_class: type[LayerPlugin]) -> list[Case]:
    """Small cases that the layer accepts and its reference can run; maybe none.

    Attributes with defaults keep them in the first case; then booleans are flipped and the
    other allowed values taken, one at a time.
    """
    found: list[Case] = []
    for shape in _first_shapes(layer_class):
        for dtype in FIRST_TYPES:
            tries = islice(_tries(layer_class, shape, dtype), TRIES_PER_SHAPE)
            case = next((case for case in tries if is_legal(case)), None)
            if case is not None:
                found.append(case)
                break
    if found:
        found += _other_shapes(found[0])
        for options in _variations(layer_class):
            varied = (
                replace(found[0], attributes={**found[0].attributes, **changes})
                for changes in options
                if not changes.items() <= found[0].attributes.items()
            )
            found += islice((case for case in varied if is_legal(case)), VALUES_PER_ATTRIBUTE)
    return found[:CASES]


def _other_shapes(case: Case) -> list[Case]:
    """The case with further inputs of other shapes, such as ones that are broadcast."""
    if not case.inputs:
        return []
    first = case.inputs[0]
    tries = islice(
        _tries(case.layer_class, first.shape, DataType.of(first.dtype)), TRIES_PER_SHAPE
    )
    legal = (
        other
        for other in tries
        if other.attributes == case.attributes and _shapes(other) != _shapes(case)
        and is_legal(other)
    )
    return list({_shapes(other): other for other in islice(legal, SHAPES_PER_CASE)}.values())


def _shapes(case: Case) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape for array in case.inputs)


def is_legal(case: Case) -> bool:
    """Whether the layer accepts the case, and its reference (if it has one) runs on it."""
    try:
        layer = case.layer()
        outputs = output_descs(layer, case.descs())
        if any(isinstance(dim, int) and dim <= 0 for desc in outputs for dim in desc.shape):
            return False
        if type(layer).reference is not LayerPlugin.reference:
            with np.errstate(all="ignore"):
                layer.reference(list(case.inputs))
    except (PlugrtError, ValueError, TypeError, IndexError, ZeroDivisionError):
        return False
    return True


def _tries(
    layer_class: type[LayerPlugin], shape: tuple[int, ...], dtype: DataType
) -> Iterator[Case]:
    required = {n: a for n, a in layer_class.schema.items() if a.required}
    choices = [_values_for(declared) for declared in required.values()]
    settings = [dict(zip(required, values, strict=True)) for values in product(*choices)]
    # An optional attribute may be needed in effect: a reshape takes its shape from somewhere.
    settings += [
        {**base, **changes}
        for base in settings
        for options in _variations(layer_class)
        for changes in options
        if not changes.keys() & base.keys()
    ]
    for count in _input_counts(layer_class):
        constants = default_constants(layer_class, count)
        options = [_arrays_for(layer_class, k, shape, dtype) for k in range(1, count)]
        first = [_array(_name(layer_class, 0), shape, dtype)] if count else []
        for attributes in settings:
            for rest in _combinations(options):
                yield Case(layer_class, (*first, *rest), attributes, constants)


def _combinations(options: list[list[Array]]) -> Iterator[tuple[Array, ...]]:
    """Every choice of one array per input; first those where all have the same place, such as
    one vector per channel for scale, shift, mean and variance alike."""
    for place in range(max(map(len, options), default=0)):
        yield tuple(arrays[min(place, len(arrays) - 1)] for arrays in options)
    yield from product(*options)


def _input_counts(layer_class: type[LayerPlugin]) -> list[int]:
    """All optional inputs first, then none of them."""
    names = layer_class.input_names
    if names and names[-1].endswith("*"):
        return [len(names) - 1 + VARIADIC_COUNT, len(names)]
    needed = sum(not name.endswith("?") for name in names)
    return list(range(len(names), needed - 1, -1))


def _variations(layer_class: type[LayerPlugin]) -> Iterator[list[dict[str, Any]]]:
    """For each attribute, the values worth trying that are not its default."""
    for name, declared in layer_class.schema.items():
        if declared.kind is bool:
            values: tuple[Any, ...] = (False, True)
        elif declared.required or declared.element or isinstance(declared.allowed, tuple):
            values = _values_for(declared)
        else:
            continue
        yield [{name: value} for value in values if declared.required or value != declared.default]


def _values_for(declared: attribute[Any]) -> tuple[Any, ...]:
    if isinstance(declared.allowed, tuple):
        return declared.allowed
    return _VALUES.get(declared.kind_name, ())


def _name(layer_class: type[LayerPlugin], index: int) -> str:
    names = layer_class.input_names
    return names[min(index, len(names) - 1)].rstrip("?*") if names else ""


def _first_shapes(layer_class: type[LayerPlugin]) -> tuple[tuple[int, ...], ...]:
    return ((2, 6, 4),) if _name(layer_class, 0) == "boxes" else FIRST_SHAPES


def _arrays_for(
    layer_class: type[LayerPlugin], index: int, first: tuple[int, ...], dtype: DataType
) -> list[Array]:
    """Arrays to try for a further input, the likeliest shape first."""
    name = _name(layer_class, index)
    channels = first[1] if len(first) > 1 else 1
    features = prod(first[1:])
    spatial = len(first) - 2
    shapes: list[tuple[int, ...]] = [first, (channels,), (8,), ()]
    if spatial > 0:
        shapes += [(1, channels, *(1,) * spatial), first[:2] + (1,) * spatial]
    if name == "weights":
        kernel = (3,) * max(spatial, 0)
        shapes = [(8, channels, *kernel), (8, features), (channels, 1, *kernel)]
    elif len(first) >= 1:
        shapes.append((*first[:-2], first[-1], 4))
    if name == "scores":
        shapes = [(*first[:1], 3, *first[1:-1])]
    if name in ("indices", "shape"):
        shapes, dtype = [(2,), (2, 2), (1,)], DataType.INT64
    elif name == "condition":
        dtype = DataType.BOOL
    elif _name(layer_class, 0) == "condition":
        dtype = DataType.FLOAT32
    return [_array(name, shape, dtype, seed=index) for shape in dict.fromkeys(shapes)]


def _array(name: str, shape: tuple[int, ...], dtype: DataType, seed: int = 0) -> Array:
    return sample(shape, dtype, seed, low=0.5 if name in ("variance", "scale") else -2.0)


def sample(shape: tuple[int, ...], dtype: DataType, seed: int, low: float = -2.0) -> Array:
    """Reproducible contents: floats in [low, 2), integers in {0, 1}, any bool."""
    random = np.random.default_rng([seed, *shape])
    if dtype.is_float:
        return np.asarray(random.uniform(low, 2.0, shape)).astype(dtype.numpy)
    return np.asarray(random.integers(0, 2, shape)).astype(dtype.numpy)
