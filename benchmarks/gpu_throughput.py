"""Many requests on a GPU: python -m benchmarks.gpu_throughput --json FILE

resnet50 in float16, batches of images in, scores on the host out. Four measurements:

bound: requests per second, so many at a time under way, with 99 % of the latencies within a
bound; plugrt and torch take turns at the same batches, sources and numbers of requests.
contexts: one to twelve contexts at once: memory of each, calls per second of all, equal bits.
chunks: a call with arrays of the host, copied and transferred in one piece or in chunks.
share: microseconds of the host for each call.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import plugrt
from benchmarks.gpu_calls import chunks, contexts, share
from benchmarks.gpu_serving import (
    SOURCES,
    Images,
    PlugrtServer,
    Server,
    TorchServer,
    closed_loop,
    images_of,
)
from benchmarks.machine import describe_gpu
from benchmarks.nets.narrow import narrow
from benchmarks.nets.resnet50 import resnet50
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt.core.atomic_file import write_atomically

BOUND = 7e-3
"""Seconds within which 99 % of the requests are answered."""

DISTINCT = 6
"""Batches of images in turn, so that no cache of the host holds them all."""

PARTS = ("share", "chunks", "contexts", "bound")


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


@contextmanager
def serving(engines: Engines, batch: int, source: str, contexts: int) -> Iterator[Server]:
    """plugrt with so many contexts."""
    dtype = source if source in ("uint8", "float16") else "float32"
    server = PlugrtServer(engines.of(batch, dtype), contexts)
    try:
        yield server
    finally:
        server.close()


def given_to(images: Images, source: str) -> Images:
    """Images as torch takes them."""
    if source not in ("gpu", "pinned"):
        return images
    import torch

    make = torch.from_dlpack if source == "gpu" else torch.from_numpy
    return [make(image) for image in images]


def bound(engines: Engines, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for every engine, source, batch, number of contexts and of requests under way."""
    rng = np.random.default_rng(0)
    for batch in options.batches:
        arrays = [rng.random((batch, 3, 224, 224), np.float32) for _ in range(DISTINCT)]
        peers = {kind: TorchServer(kind, batch) for kind in options.peers}
        for source in options.sources:
            images = images_of(source, arrays)
            for count in (1, 2):
                with serving(engines, batch, source, count) as server:
                    yield from _rows(server, images, options.seconds, {
                        "engine": "plugrt", "source": source, "batch": batch, "contexts": count
                    })  # fmt: skip
            for kind, peer in peers.items():
                peer.take(source)
                yield from _rows(peer, given_to(images, source), options.seconds, {
                    "engine": kind, "source": source, "batch": batch, "contexts": 1
                })  # fmt: skip
        for peer in peers.values():
            peer.close()


def _rows(
    server: Server, images: Images, seconds: float, what: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """A row for each number of requests under way, until they take far too long."""
    most = server.most_in_flight
    for in_flight in (1, 2) if most == 2 else range(2, most + 1):
        latencies, rate = closed_loop(server, images, in_flight, seconds)
        median, late = np.quantile(latencies, (0.5, 0.99)).tolist()
        yield {
            **what, "in_flight": in_flight, "requests": len(latencies),
            "images_per_second": round(rate * what["batch"], 1),
            "median_ms": round(median * 1e3, 3), "p99_ms": round(late * 1e3, 3),
        }  # fmt: skip
        if median > BOUND:
            return


def best(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For every source and engine the row with the most images per second within the bound."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["source"], row["engine"])
        if row["p99_ms"] <= BOUND * 1e3 and (
            key not in found or found[key]["images_per_second"] < row["images_per_second"]
        ):
            found[key] = row
    return list(found.values())


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
    options = parser.parse_args()
    results: dict[str, Any] = {}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text(encoding="utf-8"))
    results["machine"] = describe_gpu("torch", "numpy")

    def keep() -> None:
        if options.json:
            write_atomically(options.json, f"{json.dumps(results, indent=1)}\n".encode())

    engines = Engines(options)
    measured: dict[str, Callable[[], Any]] = {
        "share": share,
        "chunks": lambda: chunks(engines.of(32)),
        "contexts": lambda: contexts(engines.of(1)),
    }
    for part in options.parts:
        if part in measured:
            results[part] = measured[part]()
            print(part, json.dumps(results[part]), flush=True)
            keep()
    if "bound" in options.parts:
        rows: list[dict[str, Any]] = []
        for row in bound(engines, options):
            rows.append(row)
            print(" ".join(f"{value}" for value in row.values()), flush=True)
            results["bound"] = {
                "bound_ms": BOUND * 1e3, "net": "resnet50", "precision": "fp16",
                "best": best(rows), "rows": rows,
            }  # fmt: skip
            keep()
        for row in best(rows):
            print("best", " ".join(f"{value}" for value in row.values()), flush=True)
    engines.close()


if __name__ == "__main__":
    sys.exit(main())
