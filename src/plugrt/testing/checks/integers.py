"""Integer and bool tensors, where the definition lets them in."""

from __future__ import annotations

import numpy as np

from plugrt.plugins import Array, DataType

from ..cases import Case
from ..configurations import configurations
from ..generation import is_legal
from ..outcome import Hint
from ..subject import Subject
from .references import run_and_compare

TYPES = (DataType.INT32, DataType.INT64, DataType.UINT8, DataType.BOOL)


def integer_types(subject: Subject) -> None:
    """What the layer accepts at definition in place of float32, it also computes.

    A hint where its own reference leaves the type that the definition promises.
    """
    ran = 0
    strange: dict[str, None] = {}
    for case in subject.main_cases:
        if not any(DataType.of(array.dtype) is DataType.FLOAT32 for array in case.inputs):
            continue
        for dtype in TYPES:
            whole = case.with_inputs(_as_type(array, dtype) for array in case.inputs)
            if is_legal(whole):
                if _keeps_type(subject, whole):
                    ran += _run(subject, whole)
                else:
                    strange[dtype.value] = None
    if strange:
        raise Hint(
            f"it accepts {', '.join(strange)}, but its reference computes in another type; refuse "
            "what has no meaning with ShapeError in getOutputDataType()"
        )
    if not ran:
        raise subject.nothing_ran("it accepts no integers in place of float32")


def _as_type(array: Array, dtype: DataType) -> Array:
    """Small numbers from 1 on, so that nothing overflows or is divided by zero."""
    if DataType.of(array.dtype) is not DataType.FLOAT32:
        return array
    count = np.arange(array.size).reshape(array.shape)
    return (count % 2 if dtype is DataType.BOOL else 1 + count % 3).astype(dtype.numpy)


def _keeps_type(subject: Subject, case: Case) -> bool:
    layer = case.layer()
    types = [desc.dtype for desc in case.descs()]
    return all(
        DataType.of(array.dtype).is_float == layer.getOutputDataType(index, types).is_float
        for index, array in enumerate(subject.expected(case))
    )


def _run(subject: Subject, case: Case) -> int:
    expected = subject.expected(case)
    ran = 0
    for configuration in configurations(case, subject.registry):
        run_and_compare(case, configuration, expected)
        ran += 1
    return ran
