"""Pictures read ahead of whoever uses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from PIL import Image

from ..preparation import open_picture
from ..replacing import FileError

Item = TypeVar("Item")

READERS = 2
"""Threads; Pillow decodes with the interpreter's lock released."""


def read_ahead(
    paths: Iterable[Path], ahead: int = 2 * READERS
) -> Iterator[tuple[Path, Image.Image | FileError]]:
    """Every path with its decoded picture, or why there is none, in order.

    Other threads decode the next ones; at most `ahead` pictures wait in memory.
    """
    waiting: deque[tuple[Path, Future[Image.Image | FileError]]] = deque()
    remaining = iter(paths)
    with ThreadPoolExecutor(READERS, "plugrt-yolo-reader") as readers:
        try:
            for path in islice(remaining, ahead):
                waiting.append((path, readers.submit(_read, path)))
            while waiting:
                path, future = waiting.popleft()
                picture = future.result()
                for following in islice(remaining, 1):
                    waiting.append((following, readers.submit(_read, following)))
                yield path, picture
        finally:
            readers.shutdown(wait=False, cancel_futures=True)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`; the last may be shorter."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _read(path: Path) -> Image.Image | FileError:
    try:
        return open_picture(path)
    except FileError as error:
        return error
