"""Latency against ONNX Runtime on the same nets: python -m benchmarks.latency --json FILE."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime

import plugrt
from benchmarks.alternating import alternate, ratio
from benchmarks.machine import describe
from benchmarks.nets import NETS
from benchmarks.nets.to_onnx import to_onnx
from benchmarks.nets.to_plugrt import to_plugrt


def measure(name: str, batch: int, threads: int, seconds: float) -> dict[str, object]:
    """One cell: medians, ratio, and how far the outputs differ."""
    recipe = NETS[name]()
    image = recipe.image(batch)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = to_onnx(recipe, batch).SerializeToString()
    peer = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    config = plugrt.BuilderConfig(threads=threads)
    with (
        plugrt.build(to_plugrt(recipe, batch), config) as engine,
        engine.create_context() as context,
    ):
        mine = context.execute({"image": image})
        theirs = peer.run(recipe.outputs, {"image": image})
        error = max(
            float(np.linalg.norm(mine[n] - t) / np.linalg.norm(t))
            for n, t in zip(recipe.outputs, theirs, strict=True)
        )
        times = alternate(
            {
                "plugrt": lambda: context.execute({"image": image}),
                "onnxruntime": lambda: peer.run(None, {"image": image}),
            },
            seconds,
        )
        plan = context.recording({"image": image.shape}).plan
        memory = {"arena": plan.arena_size, "live_maximum": plan.live_maximum}
    return {
        "net": name,
        "batch": batch,
        "threads": threads,
        "precision": "fp32",
        "median_ms": {k: round(float(np.median(v)) * 1e3, 4) for k, v in times.items()},
        "ratio_to_onnxruntime": ratio(times["plugrt"], times["onnxruntime"]).as_dict(),
        "relative_error": error,
        "arena_bytes": memory,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nets", nargs="+", choices=sorted(NETS), default=sorted(NETS))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0, help="per cell")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    cells = []
    for name in options.nets:
        cells.append(measure(name, options.batch, options.threads, options.seconds))
        print(json.dumps(cells[-1]), flush=True)
    if options.json:
        result = {"machine": describe("onnxruntime", "onednn-cpu-gomp"), "cells": cells}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
