"""The side of the tests: requests to the process that holds libdarknet."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np

from plugrt.plugins import Array

from .library import DarknetLibrary

WORKER = Path(__file__).with_name("worker.py")
LAST_WORDS = 400


class DarknetError(Exception):
    """Darknet refused a request or died of it; the text is what it said last."""


class ReferenceDarknet:
    """One process with libdarknet, started at the first request and again after a death.

    `folder` receives its messages, and is where relative paths in definitions begin.
    """

    def __init__(self, library: DarknetLibrary, folder: Path) -> None:
        self._folder = folder
        self._messages = folder / "darknet.log"
        declarations = folder / "darknet.cdef"
        declarations.write_text(library.declarations(), encoding="utf-8")
        self._command = [sys.executable, str(WORKER), str(library.path), str(declarations)]
        self._process: subprocess.Popen[bytes] | None = None

    def predict(
        self, cfg: Path, weights: Path, image: Array, *layers: int, folder: Path | None = None
    ) -> dict[int, Array]:
        """Outputs of the given layers, or of all, by index: float32 [channels, height, width]
        for an `image` of the same layout, or flat. Raises DarknetError."""
        arguments = (str(cfg), str(weights), _plain(image), layers or None)
        result: dict[int, Array] = self._ask("predict", folder, *arguments)
        return result

    def detect(
        self,
        cfg: Path,
        weights: Path,
        image: Array,
        size: tuple[int, int],
        *,
        threshold: float,
        overlap: float,
        tree_threshold: float = 0.5,
        folder: Path | None = None,
    ) -> Array:
        """Boxes in a picture of `size` (height, width) whose letter box is `image`: float32 rows
        of centre, width and height relative to the picture, score, class. Raises DarknetError."""
        thresholds = (threshold, tree_threshold, overlap)
        arguments = (str(cfg), str(weights), _plain(image), size, thresholds)
        result: Array = self._ask("detect", folder, *arguments)
        return result

    def save(self, cfg: Path, weights: Path, target: Path, cutoff: int) -> None:
        """Write the weights of the first `cutoff` layers to `target`. Raises DarknetError."""
        self._ask("save", None, str(cfg), str(weights), str(target), cutoff)

    def prepare(self, function: str, image: Array, height: int, width: int) -> Array:
        """An image [channels, height, width] in another size, by `function`: letterbox, resize
        or centre_crop."""
        result: Array = self._ask(function, None, _plain(image), height, width)
        return result

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            _stdin(self._process).close()
            self._process.wait()
            self._process = None

    def _ask(self, method: str, folder: Path | None, *arguments: object) -> Any:
        process = self._running()
        try:
            pickle.dump((method, str(folder or self._folder), arguments), _stdin(process))
            _stdin(process).flush()
            done, result = pickle.load(process.stdout)  # type: ignore[arg-type]
        except (EOFError, BrokenPipeError):
            status = process.wait()
            self._process = None
            said = self._messages.read_text(encoding="utf-8", errors="replace")
            raise DarknetError(f"ended with status {status}: {said[-LAST_WORDS:]}") from None
        if not done:
            raise DarknetError(result)
        return result

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            with self._messages.open("wb") as messages:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages
                )
        return self._process


def _stdin(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def _plain(image: Array) -> Array:
    return np.ascontiguousarray(image, np.float32)
