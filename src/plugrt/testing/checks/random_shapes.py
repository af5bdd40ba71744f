"""Shapes nobody thought of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from plugrt.core.runtime.standalone import output_descs
from plugrt.plugins import Array, DataType, ShapeError
from plugrt.plugins.dims import evaluate_shape

from ..cases import Case
from ..comparison import compare
from ..configurations import first_configuration
from ..execution import execute
from ..generation import sample
from ..outcome import CheckFailure, NotApplicable
from ..subject import Subject

EXAMPLES = 40
LARGEST_BATCH = 4
LARGEST_SIZE = 12


def random_shapes(subject: Subject) -> None:
    """Other batch and spatial sizes than the examples': refused with ShapeError, or right.

    Sizes that are equal in the example stay equal, so that inputs go on fitting together.
    """
    try:
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import strategies as st
    except ImportError:
        raise NotApplicable("hypothesis is not installed: pip install hypothesis") from None

    if not subject.has_reference:
        raise NotApplicable("it has no reference()")
    cases = [case for case in subject.cases if _free_sizes(case)]
    if not cases:
        raise NotApplicable("its inputs have no batch or spatial sizes")
    case_and_sizes = st.sampled_from(cases).flatmap(
        lambda case: st.tuples(
            st.just(case),
            st.fixed_dictionaries(
                {
                    key: st.integers(1, LARGEST_BATCH if key[0] == 0 else LARGEST_SIZE)
                    for key in _free_sizes(case)
                }
            ),
        )
    )

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case_and_sizes)
    def search(drawn: tuple[Case, Mapping[tuple[int, int], int]]) -> None:
        _try(subject, *drawn)

    search()


def _free_sizes(case: Case) -> list[tuple[int, int]]:
    """(axis, size in the example) of each size that may be drawn: batch and spatial ones."""
    found = {
        (axis, size): None
        for index in case.activations
        for axis, size in enumerate(case.inputs[index].shape)
        if axis != 1 and size > 1
    }
    return list(found)


def _try(subject: Subject, case: Case, sizes: Mapping[tuple[int, int], int]) -> None:
    varied = case.with_inputs(
        _resized(array, index, sizes) if index in case.activations else array
        for index, array in enumerate(case.inputs)
    )
    try:
        outputs = output_descs(varied.layer(), varied.descs())
    except ShapeError:
        return
    if any(size < 1 for desc in outputs for size in evaluate_shape(desc.shape, {})):
        return  # the core refuses these
    try:
        expected = subject.expected(varied)
    except IndexError:
        return  # indices among the data, which shapes say nothing about
    except (ValueError, TypeError) as error:
        raise CheckFailure(
            f"{varied}: getOutputDimensions() accepts these shapes, but reference() raises "
            f"{type(error).__name__}: {error}"
        ) from error
    configuration = first_configuration(varied, subject.registry)
    if configuration is not None:
        actual = execute(varied.layer(), varied.inputs, configuration)
        compare(actual, expected, f"{varied}: {configuration}", case.tolerance)


def _resized(array: Array, index: int, sizes: Mapping[tuple[int, int], Any]) -> Array:
    shape = tuple(sizes.get((axis, size), size) for axis, size in enumerate(array.shape))
    dtype = DataType.of(array.dtype)
    if not array.size:
        return np.zeros(shape, array.dtype)
    low = float(array.min()) if dtype.is_float else 0.0
    return sample(shape, dtype, index, low=min(low, 1.9))
