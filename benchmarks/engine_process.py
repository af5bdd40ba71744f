"""A process that runs one engine, or builds one, seen from the process that measures."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from benchmarks.cells import Cell
from benchmarks.prepared import PEER_ENVIRONMENT, PreparedFiles
from benchmarks.suite import REPOSITORY

OURS = "plugrt"
OURS_FIRST = "plugrt_first"
"""plugrt with a plan that it has never loaded before."""
OURS_LOW = "plugrt_low"
"""plugrt built with `memory="low"`."""

START_SECONDS = 300.0
"""The longest that an engine may take to load its model and run it once."""

_MODULES = {"torch_compile": "torch", OURS_LOW: OURS, OURS_FIRST: OURS}


class EngineError(RuntimeError):
    """A contestant ended, or did not begin; the message has the end of what it printed."""

    @property
    def reason(self) -> str:
        """Its last line, for results files: no paths of the machine."""
        return str(self).strip().rpartition("\n")[2][-300:]


def installed(kinds: tuple[str, ...]) -> list[str]:
    """Those contestants whose package is there."""
    return [kind for kind in kinds if find_spec(_MODULES.get(kind, kind)) is not None]


class EngineProcess:
    """One contestant of a cell. It loads its model while others do; `wait` before use.

    `program` is the module that it runs, with the protocol of benchmarks.contestant.
    """

    def __init__(
        self, cell: Cell, kind: str, program: str = "benchmarks.contestant",
        environment: Mapping[str, str] = PEER_ENVIRONMENT,
    ) -> None:  # fmt: skip
        self.kind = kind
        self.start: dict[str, float] = {}
        """Seconds of importing the engine, loading the model and the first call, after `wait`."""
        self._told = TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
        spec = {**cell.as_dict(), "kind": kind.removesuffix("_low"), **self.files(cell, kind)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", program, json.dumps(spec)],
            cwd=REPOSITORY, text=True, env={**os.environ, **environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._told,
        )  # fmt: skip

    @staticmethod
    def files(cell: Cell, kind: str) -> dict[str, str]:
        """The paths that the program is told."""
        files = PreparedFiles(cell)
        plan = files.plan("low" if kind == OURS_LOW else "normal")
        return {"model": str(files.model), "image": str(files.image), "plan": str(plan)}

    def wait(self) -> None:
        """Until it has loaded its model and run it once."""
        stdout = self._process.stdout
        if stdout is None or not select.select([stdout], [], [], START_SECONDS)[0]:
            raise EngineError(f"{self.kind} is not ready after {START_SECONDS:.0f} s")
        self.start = self._read()

    def run(self, calls: int) -> list[float]:
        """Seconds of each call."""
        times: list[float] = self._ask(f"run {calls}")
        return times

    def outputs(self, file: Path) -> list[np.ndarray]:
        """The results of the last call, by way of a file."""
        self._ask(f"outputs {file}")
        with np.load(file) as found:
            return [found[name] for name in found.files]

    def peak_memory(self) -> int:
        """Bytes of the resident set at its largest."""
        return int(self._ask("memory"))

    def finish(self) -> None:
        """Let the process end by itself, with what it has still to write."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(START_SECONDS)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._told):
            if stream is not None:
                stream.close()

    def _ask(self, request: str) -> Any:
        stdin = self._process.stdin
        if stdin is None:
            raise EngineError(f"{self.kind} has no standard input")
        try:
            stdin.write(request + "\n")
            stdin.flush()
        except BrokenPipeError:
            raise EngineError(self._last_words()) from None
        return self._read()

    def _read(self) -> Any:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise EngineError(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        self._told.seek(0)
        return f"{self.kind} failed: {self._told.read()[-2000:]}"


def build_plan(
    cell: Cell, plan: Path, timing_cache: Path | None, memory: str = "normal",
    tune: str = "fast", tune_time: float | None = None,
) -> float:  # fmt: skip
    """Build plugrt's plan of a cell in a process of its own. Returns the seconds of the build.

    Raises EngineError with what the process printed.
    """
    spec = {
        **cell.as_dict(), "memory": memory, "tune": tune, "tune_time": tune_time,
        "plan": str(plan),
        "timing_cache": None if timing_cache is None else str(timing_cache),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.builder", json.dumps(spec)], cwd=REPOSITORY,
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise EngineError(f"building {cell.name} failed: {done.stderr[-2000:]}")
    return float(done.stdout)


def ready_plan(cell: Cell, memory: str = "normal", tune_time: float | None = None) -> None:
    """Build the plan of a cell if the sources have changed since it was."""
    files = PreparedFiles(cell)
    plan = files.plan(memory)
    if not plan.exists():
        build_plan(cell, plan, files.timing_cache, memory, tune_time=tune_time)
