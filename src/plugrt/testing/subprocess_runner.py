"""Checking a layer in a process of its own, which may crash or hang."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from .outcome import LayerReport

LAST_LINES = 20


def check_in_subprocess(layer: str, *, time_limit: float, device: str = "cpu") -> LayerReport:
    """The report of a registered layer; a crash or a timeout becomes its `problem`."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "report.json")
        command = [
            sys.executable, "-m", "plugrt.testing", layer, "--output", str(target),
            "--device", device,
        ]  # fmt: skip
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=time_limit,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return LayerReport(layer, problem=f"not finished within {time_limit:g} s; the process "
                               "was ended")  # fmt: skip
        if target.exists():
            return LayerReport.from_dict(json.loads(target.read_text(encoding="utf-8")))
        lines = (run.stdout + run.stderr).strip().splitlines()[-LAST_LINES:]
        ended = f"ended by signal {-run.returncode}" if run.returncode < 0 else (
            f"ended with status {run.returncode}"
        )
        return LayerReport(layer, problem="\n  ".join([f"its process {ended}:", *lines]))
