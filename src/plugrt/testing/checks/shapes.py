"""The shape rule against what really comes out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from plugrt.core.runtime.standalone import data_dependent_axes, output_descs
from plugrt.plugins import (
    Array,
    DataType,
    DimLike,
    ShapeError,
    TensorDesc,
    format_shape,
    symbol,
)
from plugrt.plugins.dims import evaluate_shape

from ..cases import Case
from ..outcome import CheckFailure, NotApplicable
from ..subject import Subject


def output_shapes(subject: Subject) -> None:
    """Shapes and types of the definition equal those of the reference's outputs."""
    for case in subject.cases:
        _compare(case, output_descs(case.layer(), case.descs()), subject.expected(case))


def _compare(case: Case, descs: list[TensorDesc], outputs: list[Array]) -> None:
    if len(descs) != len(outputs):
        raise CheckFailure(
            f"{case}: getNbOutputs() is {len(descs)}, but reference() gives {len(outputs)}"
        )
    for index, (desc, array) in enumerate(zip(descs, outputs, strict=True)):
        bound = evaluate_shape(desc.shape, {})
        wanted = list(bound)
        for axis, holder in data_dependent_axes(desc).items():
            wanted[axis] = int(np.asarray(outputs[holder]).reshape(-1)[0])
            if wanted[axis] > bound[axis]:
                raise CheckFailure(
                    f"{case}: output {index} has {wanted[axis]} entries on axis {axis}, more than "
                    f"the bound {bound[axis]} of getOutputDimensions()"
                )
        if tuple(wanted) != array.shape:
            raise CheckFailure(
                f"{case}: getOutputDimensions({index}) is {format_shape(wanted)}, but the "
                f"reference's output is {format_shape(array.shape)}"
            )
        given = DataType.of(array.dtype)
        if given is not desc.dtype and not (given.is_float and desc.dtype.is_float):
            raise CheckFailure(
                f"{case}: getOutputDataType({index}) is {desc.dtype.value}, but the reference's "
                f"output is {given.value}"
            )


def symbolic_shapes(subject: Subject) -> None:
    """The shape rule with a symbolic batch and symbolic spatial sizes gives the same."""
    tried = 0
    for case in subject.cases:
        for axes in ((0,), (2, 3, 4)):
            tried += _try_symbols(case, axes)
    if not tried:
        raise NotApplicable("no input has a batch or spatial size that may be symbolic")


def _try_symbols(case: Case, axes: tuple[int, ...]) -> bool:
    """Whether the layer accepts symbols on these axes; raises when it then errs."""
    sizes: dict[str, int] = {}
    descs = list(case.descs())
    for index in case.activations:
        shape: list[DimLike] = list(descs[index].shape)
        for axis in axes:
            if axis < len(shape) and isinstance(shape[axis], int) and shape[axis] != 1:
                name = f"s{axis}_{shape[axis]}"
                sizes[name] = int(str(shape[axis]))
                shape[axis] = symbol(name)
        descs[index] = replace(descs[index], shape=tuple(shape))
    if not sizes:
        return False
    try:
        found = output_descs(case.layer(), descs)
    except ShapeError:
        return False  # a layer may need a number there, and says so
    except Exception as error:
        raise CheckFailure(
            f"{case}: getOutputDimensions() cannot take symbolic sizes on axes {axes} "
            f"({type(error).__name__}: {error}); use plain arithmetic, floor_div, dim_max..."
        ) from error
    for index, (mine, wanted) in enumerate(
        zip(found, output_descs(case.layer(), case.descs()), strict=True)
    ):
        concrete, expected = (
            evaluate_shape(mine.shape, sizes),
            evaluate_shape(wanted.shape, {}),
        )
        if concrete != expected:
            raise CheckFailure(
                f"{case}: output {index} is {format_shape(mine.shape)} with symbols, which is "
                f"{format_shape(concrete)} here, but {format_shape(expected)} with numbers"
            )
    return True
