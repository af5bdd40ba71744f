"""Every layer of the GPU's cells beside the roofline: python -m benchmarks.gpu_layers --json FILE

The floor of a layer is the larger of its operations at the rate of the matrix units and its bytes,
each input and weight read once and each output written once, at the bandwidth of a copy. Layers
are timed by events between them in a graph of the whole network, which add about a microsecond
to each.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import plugrt
from benchmarks.cells import Cell
from benchmarks.gpu_cells import gpu_cells, gpu_plan
from benchmarks.gpu_latency import ready_plan
from benchmarks.machine import describe_gpu
from benchmarks.nets import NETS
from plugrt.core.atomic_file import write_atomically

CEILINGS = {"fp16_tflops": 759.0, "copy_gb_per_second": 4263.0}
"""Of an H200, as measured through torch: a large product and a large copy."""

ROUNDS = 9
MATRIX_LAYERS = 4
"""Fewest dimensions of weights that a convolution has; 2 for a product."""


def measure(cell: Cell) -> dict[str, Any]:
    """Microseconds and floors of all layers of one cell, the slowest first."""
    image = NETS[cell.net]().image(cell.batch)
    with plugrt.Engine.load(gpu_plan(cell)) as engine, engine.create_context() as context:
        context.execute({"image": image})
        rounds = [context.profile({"image": image}, 1) for _ in range(ROUNDS)]
        layers = {layer.name: layer for layer in engine.planned.network.layers}
        rows = []
        for timings in zip(*rounds, strict=True):
            layer = layers[timings[0].name]
            operations, nbytes = _work(layer)
            floor = max(
                operations / CEILINGS["fp16_tflops"] / 1e12,
                nbytes / CEILINGS["copy_gb_per_second"] / 1e9,
            )
            rows.append({
                "layer": layer.name, "type": layer.plugin.type, "tactic": layer.plugin.tactic.name,
                "output": list(map(int, layer.outputs[0].desc.sizes)),
                "microseconds": round(float(np.median([t.seconds for t in timings])) * 1e6, 2),
                "floor": round(floor * 1e6, 2),
            })  # fmt: skip
    rows.sort(key=lambda row: -row["microseconds"])
    return {**cell.as_dict(), "layers": rows}


def _work(layer: Any) -> tuple[float, float]:
    """Operations of the matrix units, and bytes."""
    described = [tensor.desc for tensor in (*layer.present_inputs, *layer.outputs)]
    nbytes = float(sum(desc.nbytes for desc in described))
    weights = [d for d in described if d.is_constant and d.rank in (2, MATRIX_LAYERS)]
    output = described[-1]
    if not weights or layer.plugin.type not in ("Convolution", "FullyConnected", "MatMul"):
        return 0.0, nbytes
    largest = max(weights, key=lambda desc: desc.nbytes)
    return 2.0 * np.prod(largest.sizes) * np.prod(output.sizes) / output.sizes[1], nbytes


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.gpu_layers")
    parser.add_argument("--nets", nargs="+", choices=sorted(NETS))
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--show", type=int, default=8, help="layers to print of each cell")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = []
    for cell in gpu_cells():
        if (options.nets and cell.net not in options.nets) or (
            options.batches and cell.batch not in options.batches
        ):
            continue
        ready_plan(cell, "fast", None)
        row = measure(cell)
        found.append(row)
        total = sum(layer["microseconds"] for layer in row["layers"])
        floor = sum(layer["floor"] for layer in row["layers"])
        print(f"{cell.name}: {total:.0f} us in {len(row['layers'])} layers, floors {floor:.0f}")
        for layer in row["layers"][: options.show]:
            print("   ", *layer.values(), flush=True)
    if options.json is not None:
        text = json.dumps(
            {"machine": describe_gpu(), "ceilings": CEILINGS, "cells": found}, indent=1
        )
        write_atomically(options.json, f"{text}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
