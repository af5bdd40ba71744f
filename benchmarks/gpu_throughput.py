"""Many requests on a GPU: python -m benchmarks.gpu_throughput --json FILE

resnet50 in float16, batches of images in, scores on the host out. Five measurements:

bound: requests per second, so many at a time under way, with 99 % of the latencies within a
bound; plugrt and torch take turns at the same batches, sources and numbers of requests.
gpus: images per second of one pool on one GPU and on all; where there are several.
contexts: one to twelve contexts at once: memory of each, calls per second of all, equal bits.
chunks: a call with arrays of the host, copied and transferred in one piece or in chunks.
share: microseconds of the host for each call.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plugrt
from benchmarks.gpu_bound import BOUND, Search, best
from benchmarks.gpu_calls import chunks, contexts, gpus, share
from benchmarks.gpu_serving import SOURCES, TorchServer
from benchmarks.machine import describe_gpu
from benchmarks.nets.narrow import narrow
from benchmarks.nets.resnet50 import resnet50
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt.core.atomic_file import write_atomically
from plugrt.plugins.native.cuda import device_count

PARTS = ("share", "chunks", "contexts", "gpus", "bound")


class Engines:
    """Engines of resnet50 by batch and the type of the images; tuned once per kind of build."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._made: dict[tuple[int, str], plugrt.Engine] = {}

    def of(self, batch: int, dtype: str = "float32") -> plugrt.Engine:
        """The engine, built at the first request."""
        found = self._made.get((batch, dtype))
        if found is None:
            options = self._options
            config = plugrt.BuilderConfig(
                device="cuda", precision="fp16", max_batch_size=batch, tune=options.tune,
                tune_time=options.tune_time, timing_cache=options.timing_cache,
            )  # fmt: skip
            start = time.perf_counter()
            network = to_plugrt(narrow(resnet50()), batch, dtype=dtype)
            found = self._made[batch, dtype] = plugrt.build(network, config)
            print(f"built {batch} {dtype} in {time.perf_counter() - start:.1f} s", flush=True)
        return found

    def close(self) -> None:
        """Release all."""
        for engine in self._made.values():
            engine.close()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.gpu_throughput")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=SOURCES)
    parser.add_argument("--peers", nargs="*", choices=sorted(TorchServer.kinds),
                        default=sorted(TorchServer.kinds))  # fmt: skip
    parser.add_argument("--seconds", type=float, default=0.5, help="of each row of `bound`")
    parser.add_argument("--tune", default="fast", choices=("fast", "full", "off"))
    parser.add_argument("--tune-time", type=float, help="seconds of tuning per engine, at most")
    parser.add_argument("--timing-cache", type=Path)
    parser.add_argument("--json", type=Path, help="parts that were not measured stay as they are")
    parser.add_argument("--resume", action="store_true",
                        help="keep the rows of `bound` that the file has")  # fmt: skip
    options = parser.parse_args()
    results: dict[str, Any] = {}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text(encoding="utf-8"))
    machine = describe_gpu("torch", "numpy")
    known = results.get("bound", {}) if options.resume and results.get("machine") == machine else {}
    results["machine"] = machine

    def keep() -> None:
        if options.json:
            write_atomically(options.json, f"{json.dumps(results, indent=1)}\n".encode())

    engines = Engines(options)
    measured: dict[str, Callable[[], Any]] = {
        "share": share,
        "chunks": lambda: chunks(engines.of(32)),
        "contexts": lambda: contexts(engines.of(1)),
        "gpus": lambda: gpus(engines.of(64, "uint8")),
    }
    for part in options.parts:
        if part == "gpus" and device_count() < 2:
            print("gpus: there are no two")
        elif part in measured:
            results[part] = measured[part]()
            print(part, json.dumps(results[part]), flush=True)
            keep()
    if "bound" in options.parts:
        search = Search(engines, options, known.get("rows", ()))
        for row in search.run():
            print(" ".join(f"{value}" for value in row.values()), flush=True)
            results["bound"] = {
                "bound_ms": BOUND * 1e3, "net": "resnet50", "precision": "fp16",
                "best": best(search.rows), "rows": search.rows,
                "failed": {**known.get("failed", {}), **search.failed},
            }  # fmt: skip
            keep()
        for row in best(search.rows):
            print("best", " ".join(f"{value}" for value in row.values()), flush=True)
    engines.close()


if __name__ == "__main__":
    sys.exit(main())
