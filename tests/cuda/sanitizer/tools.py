"""compute-sanitizer: starting its tools and reading what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")

FOUND = 66
"""The exit status of a process in which a tool found something."""

OPTIONS = {
    # Calls that the driver refuses are no findings: ours become exceptions, and that a kernel has
    # no further parameter is asked so where the driver does not count them (parameter_check.py).
    "memcheck": ("--report-api-errors", "no"),
    "racecheck": ("--racecheck-report", "all"),
}

PADDING = ("--padding", "128")
"""For memcheck, or a neighbour's memory is taken for one's own. compute-sanitizer 2025.3 loses its
way with it in the bodies of loops."""

SIGNS = {
    "memcheck": ("Invalid __global__ write",),
    "racecheck": ("Potential RAW hazard", "Race reported between"),
    "initcheck": ("Uninitialized __global__ memory read",),
    "synccheck": ("Barrier error detected", "Divergent thread(s)"),
}
"""How a tool may name the error that was planted for it."""

_SUMMARY = re.compile(r"(?:ERROR SUMMARY|RACECHECK SUMMARY): (\d+) (?:error|hazard)")


@dataclass(frozen=True)
class Outcome:
    """What a tool said of one process."""

    tool: str
    workload: str
    status: int
    findings: int | None
    """Errors or hazards of its summary; None when there is no summary."""
    output: str
    seconds: float = 0.0

    @property
    def names_its_error(self) -> bool:
        """Whether the tool says what was planted for it."""
        return any(sign in self.output for sign in SIGNS[self.tool])

    @property
    def clean(self) -> bool:
        """Whether all ran and nothing was found."""
        return self.status == 0 and self.findings == 0


def sanitizer() -> str | None:
    """The program; None when CUDA's toolkit has none on this machine."""
    beside_compiler = shutil.which("nvcc")
    folders = [os.environ.get("CUDA_HOME", "/usr/local/cuda") + "/bin"]
    if beside_compiler:
        folders.append(str(Path(beside_compiler).resolve().parent))
    return shutil.which("compute-sanitizer") or shutil.which(
        "compute-sanitizer", path=os.pathsep.join(folders)
    )


def command(program: str, tool: str, arguments: Sequence[str]) -> list[str]:
    """What runs the workload under a tool."""
    return [
        program, "--tool", tool, "--error-exitcode", str(FOUND), "--print-limit", "20",
        *OPTIONS.get(tool, ()), *(PADDING if tool == "memcheck" and "kernels" in arguments else ()),
        sys.executable, "-m", f"{__package__}.workload", tool, *arguments,
    ]  # fmt: skip


def run(program: str, tool: str, arguments: Sequence[str], limit: float) -> Outcome:
    """Run a share of the workload. What takes longer than `limit` seconds counts as failed."""
    start = time.monotonic()
    try:
        done = subprocess.run(
            command(program, tool, arguments), cwd=ROOT, text=True, timeout=limit, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        text = late.stdout or ""
        status = -1
        output = text.decode(errors="replace") if isinstance(text, bytes) else text
        output += f"\nnot done after {limit:.0f} s"
    seconds = time.monotonic() - start
    return Outcome(tool, " ".join(arguments), status, findings(output), output, seconds)


def findings(output: str) -> int | None:
    """The number in a tool's summary."""
    numbers = [int(number) for number in _SUMMARY.findall(output)]
    return sum(numbers) if numbers else None
