"""Builds a plan in a process of its own: python -m benchmarks.builder SPEC, a JSON object: net,
batch, threads, precision, memory, tune, tune_time
(seconds, or null), timing_cache (a path, or null) and plan, a path to write.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import plugrt
from benchmarks.nets import NETS
from benchmarks.nets.to_plugrt import to_plugrt


def build(spec: dict[str, Any]) -> float:
    """Write the plan. Returns the seconds of the build alone."""
    network = to_plugrt(NETS[spec["net"]](), spec["batch"])
    config = plugrt.BuilderConfig(
        threads=spec["threads"], precision=spec["precision"], memory=spec["memory"],
        tune=spec["tune"], tune_time=spec["tune_time"], timing_cache=spec["timing_cache"],
    )  # fmt: skip
    start = time.perf_counter()
    with plugrt.build(network, config) as engine:
        seconds = time.perf_counter() - start
        engine.save(Path(spec["plan"]))
    return seconds


if __name__ == "__main__":
    print(json.dumps(build(json.loads(sys.argv[1]))))
