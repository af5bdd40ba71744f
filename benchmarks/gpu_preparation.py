"""Build and load times on a GPU: python -m benchmarks.gpu_preparation --json FILE

Every step in a process of its own, counted from where the GPU is initialised: `cold`, a tuned build
with nothing cached; `from_cache`, the same build with its timing cache and the kernels on disk;
`load`, from the plan file to an engine, and `first_result`, from there to the first one, with the
kernels on disk; both again from a plan that is trusted where no kernel is on disk (`trusted_load`,
`trusted_first_result`), and where they have to be made anew (`bare_load`, `bare_first_result`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.machine import describe_gpu
from plugrt.core.atomic_file import write_atomically

CELLS = (
    ("resnet50", 1), ("resnet50", 32), ("resnet50", 128), ("yolov3", 1), ("yolov3", 32),
    ("mobilenetv2", 1),
)  # fmt: skip
PRECISION = "fp16"


def measure(net: str, batch: int, folder: Path, bare: bool) -> dict[str, Any]:
    """All steps of one cell, in seconds. Raises CalledProcessError where one fails."""
    kernels = folder / "kernels"
    spec = {"net": net, "batch": batch, "plan": str(folder / "plan"),
            "times": str(folder / "times.json"), "trusted": False}  # fmt: skip
    built = _step({**spec, "step": "build"}, kernels)
    row: dict[str, Any] = {"net": net, "batch": batch, "precision": PRECISION}
    row |= {"cold": built["seconds"], "candidates_timed": built["measured"]}
    row["from_cache"] = _step({**spec, "step": "build"}, kernels)["seconds"]
    row["plan_megabytes"] = round(Path(spec["plan"]).stat().st_size / 1e6, 1)
    for name, trusted, place in (
        ("", False, kernels), ("trusted_", True, folder / "none"), ("bare_", False, folder / "new"),
    ):  # fmt: skip
        if name != "bare_" or bare:
            found = _step({**spec, "step": "load", "trusted": trusted}, place)
            row[f"{name}load"], row[f"{name}first_result"] = found["load"], found["first_result"]
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}


def _step(spec: dict[str, Any], kernels: Path) -> dict[str, Any]:
    environment = {**os.environ, "PLUGRT_KERNEL_CACHE": str(kernels), "PLUGRT_PACKED_CACHE": "off"}
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, "--step", json.dumps(spec)], env=environment,
        check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run(spec: dict[str, Any]) -> dict[str, Any]:
    """One step, in the present process."""
    import plugrt
    from benchmarks.nets import NETS
    from benchmarks.nets.narrow import narrow
    from benchmarks.nets.to_plugrt import to_plugrt
    from plugrt.plugins.native.cuda import Context

    recipe = narrow(NETS[spec["net"]]())
    network = to_plugrt(recipe, spec["batch"]) if spec["step"] == "build" else None
    image = recipe.image(spec["batch"])
    Context.of(0)
    start = perf_counter()
    if network is not None:
        config = plugrt.BuilderConfig(
            device="cuda", precision=PRECISION, timing_cache=spec["times"]
        )
        with plugrt.build(network, config) as engine:
            seconds = perf_counter() - start
            engine.save(spec["plan"])
            return {"seconds": seconds, "measured": engine.explanation.tuning["measured"]}
    engine = plugrt.Engine.load(spec["plan"], trusted=spec["trusted"])
    loaded = perf_counter()
    with engine, engine.create_context() as context:
        context.execute({"image": image})
        done = perf_counter()
    return {"load": loaded - start, "first_result": done - loaded}


def _cell(text: str) -> tuple[str, int]:
    net, _, batch = text.partition(":")
    return net, int(batch)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all cells, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cells", nargs="*", type=_cell, help="such as resnet50:32")
    parser.add_argument("--bare", action="store_true", help="load without any kernel too")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.step:
        print(json.dumps(_run(json.loads(options.step))))
        return
    rows = []
    for net, batch in options.cells or CELLS:
        with TemporaryDirectory() as folder:
            rows.append(measure(net, batch, Path(folder), options.bare))
        print(json.dumps(rows[-1]), flush=True)
        if options.json:
            content = {
                "machine": describe_gpu(),
                "measured": datetime.now(timezone.utc).isoformat(timespec="minutes"),
                "cells": rows,
            }
            write_atomically(options.json, f"{json.dumps(content, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
