"""Telling the tactics of a GPU from the CPU's, without importing what a GPU takes."""

from __future__ import annotations

from ..plugins import Tactic


def is_for_gpu(tactic: Tactic) -> bool:
    """Whether a tactic is one of a GPU's: all their names begin so. `getWorkspaceSize` has nothing
    else to tell the device by."""
    return tactic.name.startswith("cuda")
