"""compute-sanitizer finds nothing in our own kernels, and finds what was planted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cuda.sanitizer import tools
from tests.cuda.sanitizer.__main__ import IN_LOOPS, is_lost, judged, tasks
from tests.cuda.sanitizer.planted import FAULTS
from tests.cuda.sanitizer.tools import Outcome, findings
from tests.cuda.sanitizer.workload import compilations


@pytest.mark.cuda
@pytest.mark.slow
def test_own_kernels_are_clean() -> None:
    if tools.sanitizer() is None:
        pytest.skip("CUDA's toolkit, which has compute-sanitizer, is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.cuda.sanitizer"], cwd=tools.ROOT, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20000:]


def test_summaries_are_read() -> None:
    memory = "========= ERROR SUMMARY: 3 errors\n"
    races = "========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)\n"
    assert findings(memory) == 3
    assert findings(races) == 1
    assert findings("========= ERROR SUMMARY: 0 errors\n") == 0
    assert findings("ran 5\n") is None


@pytest.mark.parametrize(
    ("status", "found", "wanted", "problem"),
    [
        (0, 0, False, None),
        (66, 2, False, "2 findings, status 66"),
        (1, 0, False, "0 findings, status 1"),
        (-1, None, False, "no summary, status -1"),
        (66, 3, True, "the planted error was not found"),
        (0, 0, True, "the planted error was not found"),
        (1, None, True, "no summary, status 1"),
    ],
)
def test_silence_alone_is_no_success(
    status: int, found: int | None, wanted: bool, problem: str | None
) -> None:
    assert judged(Outcome("memcheck", "kernels 0 3", status, found, ""), wanted) == problem


def test_the_planted_error_counts_by_its_name_alone() -> None:
    crash = "========= Program hit CUDA_ERROR_ILLEGAL_ADDRESS"
    assert judged(Outcome("memcheck", "planted", 1, 1, crash), True) is not None
    named = "========= Invalid __global__ write of size 4 bytes"
    assert judged(Outcome("memcheck", "planted", 66, 1, named), True) is None
    assert judged(Outcome("initcheck", "planted", 66, 1, named), True) is not None


def test_only_control_flow_without_a_finding_may_go_unjudged() -> None:
    crash = "E CUDA_ERROR_ILLEGAL_ADDRESS\n========= ERROR SUMMARY: 0 errors"
    assert is_lost(Outcome("memcheck", "control-flow", 1, 0, crash))
    assert not is_lost(Outcome("memcheck", "control-flow", 66, 1, crash))
    assert not is_lost(Outcome("memcheck", "control-flow", 1, 0, "E AssertionError"))
    assert not is_lost(Outcome("memcheck", "control-flow", -1, None, crash))
    assert not is_lost(Outcome("memcheck", "kernels 0 3", 1, 0, crash))
    assert not is_lost(Outcome("racecheck", "control-flow", 1, 0, crash))


def test_every_tool_gets_an_error_to_find() -> None:
    planned = list(tasks(tools.TOOLS, 2))
    for tool in tools.TOOLS:
        assert FAULTS[tool].compile("sm_90")
        mine = [(what[0], wanted) for own, what, wanted in planned if own == tool]
        assert mine.count(("planted", True)) == 1 + (tool in IN_LOOPS)
        assert mine.count(("planted", True)) == mine.count(("planted", False))
        assert mine.count(("kernels", False)) == 2
        for what in ("engines", "lanes", "control-flow"):
            assert mine.count((what, False)) == 1
    assert len(compilations()) > 200


def test_every_source_goes_through_the_tools() -> None:
    """A new file needs cases in kernel_cases.py; control flow is run by its own tests."""
    covered = {kernel.source.name for kernel in compilations()} | {"control_flow.cu"}
    for package in ("builtin_layers", "core", "plugins", "yolo_example"):
        for path in (tools.ROOT / package).rglob("*.cu"):
            relative = path.relative_to(tools.ROOT / package).as_posix()
            assert covered & {relative, path.name}, f"{package}/{relative} is run by no case"
