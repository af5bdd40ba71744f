"""The report of a layer, for people."""

from __future__ import annotations

from typing import TextIO

from .outcome import LayerReport

_MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "-", "hint": "hint"}


def print_report(out: TextIO, report: LayerReport) -> None:
    """Print one line per check, reasons behind it, and a last line with the verdict."""
    print(f"{report.layer}: {len(report.cases)} cases", file=out)
    for case in report.cases:
        print(f"  case {case}", file=out)
    width = max((len(result.check) for result in report.results), default=0)
    for result in report.results:
        line = f"  {result.check.ljust(width)}  {_MARKS[result.status].ljust(6)}"
        print(f"{line}  {result.message}".rstrip(), file=out)
        for detail in result.detail.splitlines():
            print(f"      {detail}", file=out)
    if report.problem:
        print(f"  {report.problem}", file=out)
    failed = sum(result.status == "failed" for result in report.results)
    verdict = "passed" if report.passed else f"failed ({failed} checks)" if failed else "failed"
    print(f"{report.layer}: {verdict}", file=out)
