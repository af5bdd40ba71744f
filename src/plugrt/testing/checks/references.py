"""Every way to run the layer, against its NumPy reference."""

from __future__ import annotations

from dataclasses import replace

from plugrt.core.runtime.standalone import output_descs
from plugrt.plugins import Array, DataType, LayerPlugin, PlugrtError

from ..cases import Case
from ..comparison import compare
from ..configurations import NARROW_FLOATS, configurations, in_type
from ..execution import Configuration, execute
from ..outcome import CheckFailure, NotApplicable
from ..subject import Subject


def every_tactic(subject: Subject) -> None:
    """Each tactic in each accepted assignment of formats, with one thread and with two."""
    ran = 0
    for case in subject.cases:
        expected = subject.expected(case)
        for configuration in configurations(case, subject.registry):
            run_and_compare(case, configuration, expected)
            if case is subject.cases[0] and subject.device == "cpu":
                run_and_compare(case, replace(configuration, threads=1), expected)
            ran += 1
    if not ran:
        raise subject.nothing_ran("no tactic runs any case on this machine")


def narrow_types(subject: Subject) -> None:
    """The same in float16 and bfloat16 where the layer accepts them."""
    if subject.layer_class.supportsFormat is LayerPlugin.supportsFormat:
        raise NotApplicable("it leaves supportsFormat() to the base class, so it is float32 only")
    ran = 0
    for case in subject.main_cases:
        if not any(DataType.of(array.dtype) is DataType.FLOAT32 for array in case.inputs):
            continue
        for dtype in NARROW_FLOATS:
            ran += _run_in(subject, in_type(case, dtype))
    if not ran:
        raise subject.nothing_ran("no tactic takes 16-bit floats")


def _run_in(subject: Subject, case: Case) -> int:
    try:
        output_descs(case.layer(), case.descs())
    except PlugrtError:
        return 0  # the layer refuses this type at definition
    expected = subject.expected(case)
    ran = 0
    for configuration in configurations(case, subject.registry):
        run_and_compare(case, configuration, expected)
        ran += 1
    return ran


def run_and_compare(
    case: Case, configuration: Configuration, expected: list[Array]
) -> None:
    """Run one configuration. Raises CheckFailure when it fails or differs."""
    try:
        actual = execute(case.layer(), case.inputs, configuration)
    except PlugrtError as error:
        raise CheckFailure(f"{case}: {configuration} failed: {error}") from error
    compare(actual, expected, f"{case}: {configuration}", case.tolerance)
