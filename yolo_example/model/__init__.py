"""The project's own detector: street.cfg, street.weights and street.names.

docs/model-card.md describes it; yolo_example/training is how it was made.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent

CFG, WEIGHTS, NAMES = (_HERE / f"street.{suffix}" for suffix in ("cfg", "weights", "names"))
"""Paths of the definition, the weights and the names of the classes."""
