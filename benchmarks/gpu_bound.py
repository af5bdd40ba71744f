"""The most requests per second that a GPU answers within a bound: the search for each engine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

import plugrt
from benchmarks.gpu_serving import (
    Images,
    PlugrtServer,
    Server,
    TorchServer,
    closed_loop,
    images_of,
    warm_up,
)

BOUND = 7e-3
"""Seconds within which 99 % of the requests are answered."""

DISTINCT = 6
"""Batches of images in turn, so that no cache of the host holds them all."""

OURS = "plugrt"

Row = dict[str, Any]


class Engines(Protocol):
    """Engines of the network that is served."""

    def of(self, batch: int, dtype: str = "float32") -> plugrt.Engine:
        """The one for this batch and type of the images."""


@dataclass(frozen=True)
class Way:
    """How requests are served."""

    engine: str
    source: str
    batch: int
    contexts: int = 1

    @property
    def in_flight(self) -> Sequence[int]:
        """Numbers of requests under way that are tried, in order."""
        return (1, 2) if self.contexts == 1 else range(2, 2 * self.contexts + 1)

    def key(self, in_flight: int) -> tuple[object, ...]:
        """What tells its rows apart."""
        return self.engine, self.source, self.batch, self.contexts, in_flight


class Search:
    """Measures what `rows` lacks, and adds to it."""

    def __init__(
        self, engines: Engines, options: argparse.Namespace, rows: Sequence[Row] = ()
    ) -> None:
        self._engines = engines
        self._options = options
        self._rows = {_key(row): row for row in rows}
        self.failed: dict[str, str] = {}
        """Peers that do not run here, and the kind of error."""

    @property
    def rows(self) -> list[Row]:
        """All that are known."""
        return list(self._rows.values())

    def missing(self, way: Way) -> Iterator[int]:
        """Numbers of requests under way that are yet to be measured, until they take far too
        long; whoever takes one adds its row before the next."""
        for count in way.in_flight:
            if way.key(count) not in self._rows:
                yield count
            if self._rows[way.key(count)]["median_ms"] > BOUND * 1e3:
                return

    def run(self) -> Iterator[Row]:
        """Rows as they are measured; all engines take turns at the same images."""
        for batch in self._options.batches:
            with ExitStack() as closing_peers:
                yield from self._at_batch(batch, closing_peers)

    def _at_batch(self, batch: int, closing_peers: ExitStack) -> Iterator[Row]:
        rng = np.random.default_rng(0)
        arrays = [rng.random((batch, 3, 224, 224), np.float32) for _ in range(DISTINCT)]
        made: dict[str, TorchServer] = {}
        left_out: set[str] = set()
        for source in self._options.sources:
            images = images_of(source, arrays)
            for count in (1, 2):
                way = Way(OURS, source, batch, count)
                if self._lacks(way):
                    engine = self._engines.of(batch, type_of(source))
                    with closing(PlugrtServer(engine, count)) as server:
                        yield from self._measured(way, server, images)
            for kind in self._options.peers:
                way = Way(kind, source, batch)
                if kind in left_out or not self._lacks(way):
                    continue
                try:
                    if kind not in made:
                        made[kind] = closing_peers.enter_context(closing(TorchServer(kind, batch)))
                    made[kind].take(source)
                    yield from self._measured(way, made[kind], given_to(images, source))
                except Exception as error:  # a compiler of its own may be missing, memory short
                    left_out.add(kind)
                    self.failed[kind] = type(error).__name__
                    print(f"{kind} failed: {type(error).__name__}: {error}", flush=True)

    def _lacks(self, way: Way) -> bool:
        return any(True for _ in self.missing(way))

    def _measured(self, way: Way, server: Server, images: Images) -> Iterator[Row]:
        warm_up(server, images)
        for count in self.missing(way):
            latencies, rate = closed_loop(server, images, count, self._options.seconds)
            median, late = np.quantile(latencies, (0.5, 0.99)).tolist()
            row = {
                "engine": way.engine, "source": way.source, "batch": way.batch,
                "contexts": way.contexts, "in_flight": count, "requests": len(latencies),
                "images_per_second": round(rate * way.batch, 1),
                "median_ms": round(median * 1e3, 3), "p99_ms": round(late * 1e3, 3),
            }  # fmt: skip
            self._rows[way.key(count)] = row
            yield row


def type_of(source: str) -> str:
    """The type of the images that an engine takes from there."""
    return source if source in ("uint8", "float16") else "float32"


def given_to(images: Images, source: str) -> Images:
    """Images as torch takes them."""
    if source not in ("gpu", "pinned"):
        return images
    import torch

    make = torch.from_dlpack if source == "gpu" else torch.from_numpy
    return [make(image) for image in images]


def best(rows: Sequence[Row]) -> list[Row]:
    """For every source and engine the row with the most images per second within the bound."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row["source"], row["engine"])
        if row["p99_ms"] <= BOUND * 1e3 and (
            key not in found or found[key]["images_per_second"] < row["images_per_second"]
        ):
            found[key] = row
    return list(found.values())


def _key(row: Mapping[str, Any]) -> tuple[object, ...]:
    way = Way(row["engine"], row["source"], row["batch"], row["contexts"])
    return way.key(row["in_flight"])
