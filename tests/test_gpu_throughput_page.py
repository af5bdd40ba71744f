"""What docs/performance.md says of many requests on a GPU."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.gpu_bound import BOUND, best
from benchmarks.gpu_throughput_table import throughput


def row(engine: str, rate: float, p99: float, source: str = "gpu") -> dict[str, Any]:
    return {
        "engine": engine, "source": source, "batch": 64, "contexts": 1, "in_flight": 2,
        "requests": 50, "images_per_second": rate, "median_ms": p99 - 1, "p99_ms": p99,
    }  # fmt: skip


def test_the_best_row_within_the_bound_counts() -> None:
    late = BOUND * 1e3 + 0.1
    rows = [row("plugrt", 3e4, 5), row("plugrt", 4e4, late), row("plugrt", 3.5e4, 6.9),
            row("torch_compile", 2e4, 5), row("torchscript_graph", 9e4, late),
            row("plugrt", 1e4, 2, "uint8")]  # fmt: skip
    assert best(rows) == [rows[2], rows[3], rows[5]]


def test_everything_is_told() -> None:
    rows = [row("plugrt", 3e4, 5), row("torch_compile", 2e4, 5), row("plugrt", 1e4, 2, "uint8")]
    memory = {"device_mib": 4.0, "buffers_mib": 4.02, "arena_mib": 3.45}
    result = {
        "bound": {"bound_ms": 7.0, "net": "resnet50", "precision": "fp16", "best": rows,
                  "rows": rows},
        "contexts": {"net": "resnet50", "precision": "fp16", "batch": 1, "weights_mib": 48.1,
                     "memory": [memory] * 12, "calls_per_second": {1: 100.0, 12: 450.0},
                     "bits_equal": True},
        "chunks": {"batch": 32, "input_mib": 18.38, "one_copy": 3.2, "chunks": 1.9, "pinned": 1.6,
                   "on_gpu": 1.2, "queue_one_copy": 2.1, "queue_chunks": 1.25,
                   "queue_pinned": 1.21},
        "gpus": {"net": "resnet50", "precision": "fp16", "batch": 64, "dtype": "uint8",
                 "cores": 32, "images_per_second": {1: 30000.0, 2: 57000.0}},
        "share": {"net": "lenet", "precision": "fp32", "batch": 1,
                  "call_with_host_arrays": 50.0,
                  "host_before": 12.0, "waiting": 30.0, "host_after": 3.0, "driver": 7.0,
                  "python": 8.0,
                  "host_share_with_gpu_arrays": 14.0},
    }  # fmt: skip
    page = "\n".join(throughput(json.loads(json.dumps(result))))
    for text in (
        "| float32, on the GPU | plugrt | 30,000 | **1.50** | 64 | 1 | 2 | 4.00 | 5.00 |",
        "| float32, on the GPU | torch.compile | 20,000 |  | 64 |",
        "| uint8, NumPy | plugrt | 10,000 |  | 64 |",
        "| 12 | 450 | 4.50 |", "bit-equal", "gave 48 MiB",
        "| 2 | 57,000 | 1.90 |", "64 pictures in uint8",
        "| NumPy array, in chunks | 1.900 | 1.250 |", "| array on the GPU | 1.200 |  |",
        "8.0 µs; the host takes 12.0 µs before",
    ):  # fmt: skip
        assert text in page
    assert throughput({}) == ()
