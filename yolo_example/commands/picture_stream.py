"""Pictures of a command line, batch by batch, those that cannot be read set aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from ..detection.reading import READERS, batched, read_ahead
from ..replacing import FileError
from .command import DONE, FAILED
from .terminal import Advance, Terminal


class PictureStream:
    """Reads pictures while others are in use, so that any number fits into memory.

    One that cannot be read does not stop the rest: it is kept in `unreadable`.
    """

    def __init__(self, paths: Sequence[Path], batch_size: int) -> None:
        self.paths = paths
        self.unreadable: list[FileError] = []
        self._batch_size = batch_size

    def batches(self, advance: Advance) -> Iterator[list[tuple[Path, Image.Image]]]:
        """The readable pictures; `advance` is told of all. Raises FileError when there is but
        one picture and it cannot be read."""
        ahead = self._batch_size + 2 * READERS
        for batch in batched(read_ahead(self.paths, ahead), self._batch_size):
            readable = []
            for path, picture in batch:
                if not isinstance(picture, FileError):
                    readable.append((path, picture))
                elif len(self.paths) == 1:
                    raise picture
                else:
                    self.unreadable.append(picture)
            if readable:
                yield readable
            advance(len(batch))

    def report(self, terminal: Terminal) -> int:
        """Name what could not be read on stderr, and return the command's exit status."""
        for error in self.unreadable:
            terminal.problem(str(error))
        return FAILED if self.unreadable else DONE
