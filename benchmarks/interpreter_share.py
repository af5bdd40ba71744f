"""Interpreter time per inference against the number of layers.

A chain of tiny recordable layers, fusion off, beside the same chain of NumPy layers, which
run as host callbacks. Run: python -m benchmarks.interpreter_share --json FILE
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import plugrt
from benchmarks.machine import describe
from plugrt.plugins import Shape, Stream, TensorDesc

LENGTHS = (1, 10, 50, 100, 200)


class NumpyNegate(plugrt.LayerPlugin):
    """Negation by NumPy at every inference."""

    type = "Benchmark.NumpyNegate"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        np.negative(inputs[0], out=outputs[0])


def chain(layer: str, length: int, registry: plugrt.Registry) -> plugrt.Network:
    """`length` layers of one type, 16 elements each."""
    network = plugrt.Network("chain", registry)
    x = network.add_input("x", "float32", [1, 16])
    for _ in range(length):
        x = network.add_layer(layer, [x]).output
    network.mark_output(x, "y")
    return network


def measure(layer: str, length: int, registry: plugrt.Registry) -> dict[str, float]:
    """Median microseconds of a whole call and of the replay inside it."""
    config = plugrt.BuilderConfig(threads=1, tune="off", fusion=False)
    x = np.ones((1, 16), np.float32)
    with plugrt.build(chain(layer, length, registry), config) as engine:
        context = engine.create_context()
        context.execute({"x": x})
        recording = context.recording({"x": x.shape})
        whole, inside = [], []
        for _ in range(2000):
            start = time.perf_counter()
            context.execute({"x": x})
            whole.append(time.perf_counter() - start)
        replayed = recording.variant(recording.segments[0], recording.sizes).recording
        context.execute({"x": x}, {"y": (y := np.empty_like(x))})
        for _ in range(2000):
            start = time.perf_counter()
            replayed.replay()
            inside.append(time.perf_counter() - start)
        del y
    total, native = float(np.median(whole)) * 1e6, float(np.median(inside)) * 1e6
    return {"call_us": round(total, 2), "replay_us": round(native, 2),
            "interpreter_us": round(total - native, 2)}  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    registry = plugrt.Registry(plugrt.Registry.default())
    registry.register(NumpyNegate)
    rows = []
    for kind, layer in (("recorded", "Negate"), ("host_callback", NumpyNegate.type)):
        for length in LENGTHS:
            rows.append({"kind": kind, "layers": length, **measure(layer, length, registry)})
            print(rows[-1], flush=True)
    if options.json:
        result = {"machine": describe(), "rows": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
