"""The conformance kit: checks that every layer of a registry keeps the contract.

    report = check_layer("Vendor.Mish")
    assert report.passed, report

`plugrt plugins check Vendor.Mish` does the same in a process of its own. A layer may help by a
classmethod `exampleCases()`, which returns `ExampleCase` mappings; else small cases are found
by trying, guided by the input names and the attribute schema.
"""

from .cases import Case, ExampleCase, ProvidesExamples
from .checks import CHECKS
from .conformance import cases_of, check_layer
from .outcome import CheckResult, LayerReport
from .report import print_report
from .subprocess_runner import check_in_subprocess

__all__ = [
    "CHECKS",
    "Case",
    "CheckResult",
    "ExampleCase",
    "LayerReport",
    "ProvidesExamples",
    "cases_of",
    "check_in_subprocess",
    "check_layer",
    "print_report",
]
