"""Benchmarks of many requests on a GPU, as far as they go without one: torch's server with its
device played, and the search for the most requests within a bound."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from benchmarks import gpu_bound
from benchmarks.gpu_bound import BOUND, Search, Way, given_to
from benchmarks.gpu_serving import TorchServer, closed_loop, images_of, warm_up

torch = pytest.importorskip("torch")

BATCH = 2


class PlayedStream:
    """Work is done at once."""

    def wait_event(self, event: Any) -> None:
        assert event.is_recorded


class PlayedEvent:
    is_recorded = False

    def record(self) -> None:
        self.is_recorded = True

    def synchronize(self) -> None:
        assert self.is_recorded


class Sums:
    """A captured module: each image's mean. The third inference may be made to fail."""

    fails_at = -1

    def __init__(self, spec: Any, example: Any) -> None:
        self.given = torch.from_numpy(example).clone().half()
        self.results = [torch.zeros(len(example), dtype=torch.float16)]
        self.count = 0
        self.thread = threading.get_ident()

    def infer(self) -> None:
        assert threading.get_ident() == self.thread
        self.count += 1
        if self.count == self.fails_at:
            raise RuntimeError("out of memory")
        self.results[0].copy_(self.given.float().mean((1, 2, 3)))


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch without a GPU."""

    @contextmanager
    def on(stream: Any) -> Iterator[None]:
        yield

    empty = torch.empty
    monkeypatch.setattr(torch.cuda, "Stream", PlayedStream)
    monkeypatch.setattr(torch.cuda, "Event", PlayedEvent)
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "current_stream", PlayedStream)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(torch, "empty", lambda *a, device=None, **k: empty(*a, **k))
    monkeypatch.setattr(TorchServer, "kinds", {"sums": Sums})


def batches(count: int = 3) -> list[Any]:
    rng = np.random.default_rng(1)
    return [rng.random((BATCH, 3, 224, 224), np.float32) for _ in range(count)]


@pytest.mark.parametrize("source", ["uint8", "float16", "float32"])
def test_torch_answers_in_order(source: str) -> None:
    server = TorchServer("sums", BATCH)
    server.take(source)
    arrays = batches()
    images = images_of(source, arrays)
    futures = [server.submit(images[k % 3]) for k in range(9)]
    for k, future in enumerate(futures):
        (found,) = future.result(20)
        np.testing.assert_allclose(found, arrays[k % 3].mean((1, 2, 3)), atol=3e-3)
    server.close()


def test_torch_takes_arrays_in_place() -> None:
    server = TorchServer("sums", BATCH)
    arrays = batches()
    for source in ("gpu", "pinned"):
        server.take(source)
        (found,) = server.submit(given_to(arrays, source)[1]).result(20)
        np.testing.assert_allclose(found, arrays[1].mean((1, 2, 3)), atol=3e-3)
    server.close()


def test_a_request_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sums, "fails_at", 3)
    server = TorchServer("sums", BATCH)
    server.take("float32")
    futures = [server.submit(image) for image in batches(4)]
    for k, future in enumerate(futures):
        if k == 1:  # one inference was made to warm up
            with pytest.raises(RuntimeError, match="out of memory"):
                future.result(20)
        else:
            future.result(20)
    server.close()


def test_every_context_sees_every_array() -> None:
    server = PlayedServer()
    warm_up(server, ["a", "b"])
    assert server.seen == list(2 * ("a" * 8 + "b" * 8))


def test_latencies_of_requests_under_way() -> None:
    server = TorchServer("sums", BATCH)
    server.take("float32")
    latencies, rate = closed_loop(server, batches(1), 2, 0.0, least=10)
    server.close()
    assert len(latencies) >= 10
    assert rate > 0
    assert min(latencies) > 0


class PlayedServer:
    """Answers at once, as often as it is asked."""

    most_in_flight = 4
    closed = 0

    def __init__(self, *arguments: Any) -> None:
        self.seen: list[Any] = []

    def take(self, source: str) -> None:
        if source == "float32":
            raise RuntimeError("no such type")

    def submit(self, image: Any) -> Future[Any]:
        self.seen.append(image)
        future: Future[Any] = Future()
        future.set_result([])
        return future

    def close(self) -> None:
        PlayedServer.closed += 1


class PlayedEngines:
    def of(self, batch: int, dtype: str = "float32") -> Any:
        return object()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """What was measured; three requests under way take too long."""
    asked: list[tuple[int, str]] = []

    def loop(server: Any, images: Any, in_flight: int, seconds: float) -> Any:
        asked.append((in_flight, str(images[0].dtype)))
        return [2 * BOUND if in_flight == 3 else BOUND / 2] * 40, 100.0

    PlayedServer.closed = 0
    monkeypatch.setattr(gpu_bound, "closed_loop", loop)
    monkeypatch.setattr(gpu_bound, "PlugrtServer", PlayedServer)
    monkeypatch.setattr(gpu_bound, "TorchServer", PlayedServer)
    return asked


def options(*peers: str) -> argparse.Namespace:
    return argparse.Namespace(batches=[2], sources=["uint8", "float32"], peers=peers, seconds=0.0)


def test_the_search_stops_where_requests_take_too_long(servers: list[Any]) -> None:
    rows = list(Search(PlayedEngines(), options()).run())
    assert [(row["source"], row["contexts"], row["in_flight"]) for row in rows] == [
        (source, *what) for source in ("uint8", "float32")
        for what in ((1, 1), (1, 2), (2, 2), (2, 3))
    ]  # fmt: skip
    assert rows[0]["images_per_second"] == 200.0
    assert PlayedServer.closed == 4


def test_a_search_goes_on_where_it_was_left(servers: list[Any]) -> None:
    first = Search(PlayedEngines(), options("other"))
    steps = first.run()
    known = [next(steps) for _ in range(5)]
    steps.close()
    servers.clear()
    second = Search(PlayedEngines(), options("other"), known)
    assert len(list(second.run())) == 5
    assert [way for way, _ in servers] == [2, 1, 2, 2, 3]
    assert len(second.rows) == 10
    assert list(Search(PlayedEngines(), options(), second.rows).run()) == []


def test_a_peer_that_fails_is_left_out(
    servers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(PlayedEngines(), options("other"))
    engines = [row["engine"] for row in search.run()]
    assert engines == ["plugrt"] * 4 + ["other"] * 2 + ["plugrt"] * 4
    assert search.failed == {"other": "RuntimeError"}

    def fail(*arguments: Any) -> None:
        raise ImportError("no compiler")

    monkeypatch.setattr(gpu_bound, "TorchServer", fail)
    search = Search(PlayedEngines(), options("other"))
    assert {row["engine"] for row in search.run()} == {"plugrt"}
    assert search.failed == {"other": "ImportError"}


def test_ways_are_told_apart() -> None:
    assert tuple(Way("plugrt", "gpu", 64, 2).in_flight) == (2, 3, 4)
    assert tuple(Way("plugrt", "gpu", 64).in_flight) == (1, 2)
