"""An engine at work on pictures, several at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from plugrt import Engine
from plugrt.plugins import Array, PlugrtError

from .picture_input import PictureInput
from .pixels import Picture, size_of
from .placement import Placement, Preparation
from .preparing import prepare

DEFAULT_BATCH = 4


@dataclass(frozen=True)
class Batch:
    """What the engine made of some pictures, one after the other in axis 0 of every output.

    Behind the last picture there may be more, which mean nothing: engines of a fixed batch size
    always get as many.
    """

    outputs: Mapping[str, Array]
    sizes: list[tuple[int, int]]
    """Height and width of every picture."""
    placements: list[Placement]
    preparation_seconds: float
    network_seconds: float


class PictureBatches:
    """Feeds pictures to a context of an engine; one call at a time.

    Raises PlanError when the engine takes no pictures, PlugrtError for a batch size or number
    of threads below 1.
    """

    def __init__(
        self, engine: Engine, *, batch_size: int = DEFAULT_BATCH, threads: int | None = None
    ) -> None:
        if batch_size < 1:
            raise PlugrtError(f"batch_size={batch_size} is not possible; use 1 or more")
        self.input = PictureInput.of(engine)
        self.batch_size = self.input.batch_size(batch_size)
        self._context = engine.create_context(threads)
        self._buffer = self._allocate(0)

    @property
    def threads(self) -> int:
        """Size of the team that prepares pictures and runs the network."""
        return self._context.threads

    def run(self, pictures: Iterable[Picture], preparation: Preparation) -> Iterator[Batch]:
        """The engine's outputs for all pictures, batch by batch, in order.

        A generator: pictures are taken from the iterable as they are needed. Raises ShapeError
        for what is no picture, and like `ExecutionContext.execute`.
        """
        remaining = iter(pictures)
        while some := list(islice(remaining, self.batch_size)):
            start = time.perf_counter()
            sizes = [size_of(picture) for picture in some]
            count = max(len(some), self.input.least_batch)
            if count > len(self._buffer):
                self._buffer = self._allocate(count)
            placements = [
                prepare(picture, preparation, place, self.threads)
                for picture, place in zip(some, self._buffer, strict=False)
            ]
            prepared = time.perf_counter()
            outputs = self._context.execute({self.input.name: self._buffer[:count]})
            done = time.perf_counter()
            yield Batch(outputs, sizes, placements, prepared - start, done - prepared)

    def close(self) -> None:
        """Release the context. It cannot be used afterwards."""
        self._context.close()

    def _allocate(self, count: int) -> Array:
        # Zeros, so that pictures which are not there are at least finite.
        wanted = self.input
        return np.zeros((count, wanted.channels, wanted.height, wanted.width), np.float32)
