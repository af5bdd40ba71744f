"""Builds a plan in a process of its own: python -m benchmarks.builder SPEC (see contestant)."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import plugrt
from benchmarks.nets import NETS
from benchmarks.nets.to_plugrt import to_plugrt


def build(spec: dict[str, Any]) -> dict[str, float]:
    """Write model.plan. Returns seconds of the tuned build and of a second one from its timing
    cache."""
    recipe = NETS[spec["net"]]()
    folder = Path(spec["folder"])
    cache = folder / "timing_cache.json"
    seconds = {}
    for name in ("tuned", "from_timing_cache"):
        network = to_plugrt(recipe, spec["batch"])
        config = plugrt.BuilderConfig(
            threads=spec["threads"], precision=spec["precision"], timing_cache=cache
        )
        start = time.perf_counter()
        with plugrt.build(network, config) as engine:
            seconds[name] = time.perf_counter() - start
            engine.save(folder / "model.plan")
    return seconds


if __name__ == "__main__":
    print(json.dumps(build(json.loads(sys.argv[1]))))
