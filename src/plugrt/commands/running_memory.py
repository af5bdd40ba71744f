"""The memory that a process needs that only loads a plan and runs it, measured in one."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from plugrt import Engine

PROGRAM = "plugrt.commands.running_memory"
RUNS = 2


def peak_of_running(
    plan: Path, threads: int, sizes: Mapping[str, int], seed: int
) -> int | None:
    """Bytes of the resident set at its largest, Python and NumPy included, of a new process.

    None where that process fails, as for a plan whose plug-ins only this one has.
    """
    given = json.dumps({"plan": str(plan), "threads": threads, "sizes": sizes, "seed": seed})
    done = subprocess.run(
        [sys.executable, "-m", PROGRAM, given], check=False, capture_output=True, text=True
    )
    return int(done.stdout) if done.returncode == 0 else None


def peak_memory() -> int:
    """The most bytes that this process has held in memory."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    # Of Linux, where the other figure begins with what the parent held.
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def main() -> None:
    """Load, run and print the peak: python -m plugrt.commands.running_memory JSON."""
    from .measurement import random_inputs

    given = json.loads(sys.argv[1])
    with Engine.load(given["plan"]) as engine, engine.create_context(given["threads"]) as context:
        inputs = random_inputs(engine.inputs, given["sizes"], given["seed"])
        for _ in range(RUNS):
            context.execute(inputs)
    print(peak_memory())


if __name__ == "__main__":
    main()
