"""Tensors that lie in a slice of a larger one, as in a concatenation."""

from __future__ import annotations

from plugrt.plugins import Array

from ..cases import Case
from ..comparison import compare
from ..configurations import configurations
from ..execution import Configuration, record
from ..outcome import CheckFailure
from ..subject import Subject


def slices(subject: Subject) -> None:
    """Where a tactic takes strided tensors: right results, and nothing beside them touched."""
    ran = 0
    for case in subject.main_cases:
        expected = subject.expected(case)
        for configuration in configurations(case, subject.registry, strided=True):
            tactic = configuration.tactic
            if tactic.accumulates_into is None and (
                tactic.strided_outputs or tactic.strided_inputs
            ):
                _run(case, configuration, expected)
                ran += 1
    if not ran:
        raise subject.nothing_ran("no tactic takes strided tensors")


def _run(case: Case, configuration: Configuration, expected: list[Array]) -> None:
    layer = case.layer()
    layer.initialize()
    try:
        recorded = record(layer, case.inputs, configuration)
        actual = recorded.run()
    finally:
        layer.terminate()
    compare(actual, expected, f"{case}: {configuration}", case.tolerance)
    for kind, tensors in (("input", recorded.inputs), ("output", recorded.outputs)):
        for index, placed in enumerate(tensors):
            if not placed.guards_intact():
                raise CheckFailure(f"{case}: {configuration} wrote beside {kind} {index}")
