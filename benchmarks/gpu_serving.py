"""Engines that answer requests on a GPU: a batch of images in, scores on the host out.

Every engine does what its users would: plugrt is asked through a ThroughputPool; torch, whose
captured graphs read one fixed tensor, gets its inputs through two pinned buffers and a copy
stream of its own, so that the next request's copy runs beside the present one's computation.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

import plugrt
from benchmarks.gpu_contestant import TorchCompile, TorchScript
from plugrt.core.devices.cuda.interchange import DeviceArray
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.plugins import Array
from plugrt.plugins.native.cuda import Context

SOURCES = ("gpu", "uint8", "float16", "float32", "pinned")
"""Where images are: on the GPU in float32; on the host in three types; in pinned memory in
float32."""

Images = Sequence[Any]


class Server(Protocol):
    """An engine that answers."""

    most_in_flight: int
    """Requests that it works on at once."""

    def submit(self, image: Any) -> Future[Any]:
        """Begin a request; its result is a list of arrays on the host."""

    def close(self) -> None:
        """Wait, and release everything."""


def images_of(source: str, arrays: Sequence[Array]) -> Images:
    """The arrays where, and of the type, that `source` says."""
    if source == "gpu":
        context = Context.of(0)
        buffers = [DeviceBuffer.of(context, array) for array in arrays]
        return [
            DeviceArray(buffer.address, array.shape, array.dtype, 0, buffer)
            for buffer, array in zip(buffers, arrays, strict=True)
        ]
    if source == "pinned":
        pinned = [plugrt.pinned_empty(array.shape) for array in arrays]
        for target, array in zip(pinned, arrays, strict=True):
            target[...] = array
        return pinned
    if source == "uint8":
        return [(array * 255).astype(np.uint8) for array in arrays]
    return [array.astype(source) for array in arrays]


class PlugrtServer:
    """A pool of contexts of one engine."""

    def __init__(self, engine: plugrt.Engine, contexts: int) -> None:
        self._pool = plugrt.ThroughputPool(engine, contexts)
        self.most_in_flight = 2 * contexts

    def submit(self, image: Any) -> Future[Any]:
        return self._pool.submit({"image": image})

    def close(self) -> None:
        self._pool.close()


class TorchServer:
    """A captured module of torch's. Whoever submits a request begins it, and is always the thread
    that made the server, which torch.compile's graphs belong to; another thread ends it."""

    kinds: Mapping[str, type[Any]] = {
        "torchscript_graph": TorchScript, "torch_compile": TorchCompile,
    }  # fmt: skip
    most_in_flight = 2

    def __init__(self, kind: str, batch: int) -> None:
        import torch

        self._torch = torch
        self._batch = batch
        spec = {"net": "resnet50", "precision": "fp16"}
        self._module = self.kinds[kind](spec, np.zeros((batch, 3, 224, 224), np.float32))
        self._module.infer()
        scores = self._module.results[0]
        self._scores = [
            torch.empty(scores.shape, dtype=scores.dtype).pin_memory() for _ in range(2)
        ]
        self._copies = torch.cuda.Stream()
        self._is_there = [torch.cuda.Event() for _ in range(2)]
        self._is_done = [torch.cuda.Event() for _ in range(2)]
        self._free: SimpleQueue[int] = SimpleQueue()
        for turn in range(2):
            self._free.put(turn)
        self._begun: SimpleQueue[tuple[int, Future[Any]] | None] = SimpleQueue()
        self._ending = threading.Thread(target=self._end_requests, daemon=True)
        self._ending.start()

    def take(self, source: str) -> None:
        """Expect images of this source from now on; nothing is under way."""
        torch = self._torch
        names = {"uint8": torch.uint8, "float16": torch.float16}
        dtype = names.get(source, torch.float32)
        shape = (self._batch, 3, 224, 224)
        self._source = source
        self._pinned = [torch.empty(shape, dtype=dtype).pin_memory() for _ in range(2)]
        self._arrived = [torch.empty(shape, dtype=dtype, device="cuda") for _ in range(2)]

    def submit(self, image: Any) -> Future[Any]:
        future: Future[Any] = Future()
        turn = self._free.get()
        try:
            with self._torch.inference_mode():
                self._begin(image, turn)
        except BaseException as error:  # it belongs to whoever asks for the result
            self._free.put(turn)
            future.set_exception(error)
        else:
            self._begun.put((turn, future))
        return future

    def _begin(self, image: Any, turn: int) -> None:
        torch, given = self._torch, self._module.given
        if self._source == "gpu":
            given.copy_(image)
        else:
            pinned = image
            if self._source != "pinned":
                pinned = self._pinned[turn].copy_(torch.from_numpy(image))
            with torch.cuda.stream(self._copies):
                self._arrived[turn].copy_(pinned, non_blocking=True)
                self._is_there[turn].record()
            torch.cuda.current_stream().wait_event(self._is_there[turn])
            given.copy_(self._arrived[turn])
            if self._source == "uint8":
                given.mul_(1 / 255)
        self._module.infer()
        self._scores[turn].copy_(self._module.results[0], non_blocking=True)
        self._is_done[turn].record()

    def _end_requests(self) -> None:
        while (begun := self._begun.get()) is not None:
            turn, future = begun
            try:
                self._is_done[turn].synchronize()
                result = [self._scores[turn].numpy().copy()]
            except BaseException as error:  # as above
                self._free.put(turn)
                future.set_exception(error)
            else:
                self._free.put(turn)
                future.set_result(result)

    def close(self) -> None:
        self._begun.put(None)
        self._ending.join()


def warm_up(server: Server, images: Images) -> None:
    """Let every context see every array while all are busy, so that whatever graphs are recorded
    for arrays that lie on the GPU are recorded now."""
    for image in (*images, *images):
        for future in [server.submit(image) for _ in range(2 * server.most_in_flight)]:
            future.result()


def closed_loop(
    server: Server, images: Images, in_flight: int, seconds: float, least: int = 30
) -> tuple[list[float], float]:
    """Latencies of requests of which so many are under way at any time, and requests per second;
    the first ones are not counted."""
    begun: list[float] = []
    latencies: list[float] = []
    waiting: deque[Future[Any]] = deque()

    def start() -> None:
        index = len(begun)
        begun.append(time.perf_counter())
        future = server.submit(images[index % len(images)])
        future.add_done_callback(ended(index))
        waiting.append(future)

    def ended(index: int) -> Callable[[Future[Any]], None]:
        return lambda future: latencies.append(time.perf_counter() - begun[index])

    def follow(count: int, end: float) -> None:
        done = 0
        while done < count or time.perf_counter() < end:
            waiting.popleft().result()
            done += 1
            start()

    for _ in range(in_flight):
        start()
    follow(len(images), 0)
    latencies.clear()
    first = time.perf_counter()
    follow(least, first + seconds)
    count, elapsed = len(latencies), time.perf_counter() - first
    while waiting:
        waiting.popleft().result()
    return latencies[:count], count / elapsed
