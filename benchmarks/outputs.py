"""Comparing what contestants compute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.engine_process import EngineProcess


def relative_error(contestant: EngineProcess, expected: Sequence[np.ndarray]) -> float:
    """The norm of the difference by that of the expected output, for the worst output."""
    with TemporaryDirectory() as folder:
        found = contestant.outputs(Path(folder, "outputs.npz"))
    return max(
        float(np.linalg.norm(mine - wanted) / np.linalg.norm(wanted))
        for mine, wanted in zip(found, expected, strict=True)
    )
