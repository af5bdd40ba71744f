"""What measurements keep from run to run, under build/benchmarks: models, times, compiled code.

Models and expected outputs depend on the nets, plans on all of the SDK's sources as well: they lie
in folders named by the digest of those, so that no stale one is ever read. Timing caches stay, as
a user's would: after a change of kernels delete the folder `times`, or give --retune. All of it
may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from shutil import rmtree

import numpy as np

from benchmarks.cells import Cell
from benchmarks.nets import NETS
from benchmarks.nets.to_onnx import to_onnx
from benchmarks.suite import REPOSITORY
from plugrt.core.atomic_file import write_atomically

ROOT = REPOSITORY / "build" / "benchmarks"
SDK = ("plugins", "plugin_registry", "builtin_layers", "core", "src/plugrt", "yolo_example")

STALE_SECONDS = 3600

PEER_ENVIRONMENT = {
    "TORCHINDUCTOR_CACHE_DIR": str(ROOT / "torch"), "PLUGRT_PACKED_CACHE": str(ROOT / "packed"),
}  # fmt: skip
"""Lets torch.compile find the code that it compiled in an earlier run, and plugrt the weights
that it packed, apart from the user's own."""


class PreparedFiles:
    """The files of one cell. Models are written when first asked for."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self._stem = f"{cell.net}-b{cell.batch}"

    @property
    def model(self) -> Path:
        """The net as ONNX."""
        path = self._model_folder / f"{self._stem}.onnx"
        if not path.exists():
            recipe = NETS[self.cell.net]()
            write_atomically(path, to_onnx(recipe, self.cell.batch).SerializeToString())
        return path

    @property
    def image(self) -> Path:
        """The input, as NumPy's file."""
        path = self._model_folder / f"{self._stem}.npy"
        if not path.exists():
            np.save(path, NETS[self.cell.net]().image(self.cell.batch))
        return path

    @property
    def expected(self) -> Path:
        """Where the outputs in float32 are kept, by ONNX Runtime."""
        return self._model_folder / f"{self._stem}-expected.npz"

    @property
    def timing_cache(self) -> Path:
        """plugrt's measurements of all cells of the net."""
        return _folder("times") / f"{self.cell.net}.json"

    def forget_times(self) -> None:
        """Delete the timing cache of the net, and the plans that were built by it."""
        self.timing_cache.unlink(missing_ok=True)
        for plan in _plans().glob(f"{self.cell.net}-b*.plan"):
            plan.unlink()

    def plan(self, memory: str = "normal") -> Path:
        """Where plugrt's plan of the cell is kept."""
        cell = self.cell
        name = f"{self._stem}-t{cell.threads}-{cell.precision}-{memory}.plan"
        return _plans() / name

    @property
    def _model_folder(self) -> Path:
        return _folder_of("models", _nets_digest())


def _folder(name: str) -> Path:
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _plans() -> Path:
    return _folder_of("plans", _sdk_digest())


@cache
def _folder_of(kind: str, digest: str) -> Path:
    """The folder for what was made from these sources. Others of its kind go, but for young ones,
    which another run may be using."""
    for other in ROOT.glob(f"{kind}-*"):
        is_stale = time.time() - other.stat().st_mtime > STALE_SECONDS
        if is_stale and other.name != f"{kind}-{digest}":
            rmtree(other, ignore_errors=True)
    return _folder(f"{kind}-{digest}")


@cache
def _nets_digest() -> str:
    return _digest((REPOSITORY / "benchmarks" / "nets").glob("*.py"))


@cache
def _sdk_digest() -> str:
    found = (p for part in SDK for p in (REPOSITORY / part).rglob("*"))
    nets = (REPOSITORY / "benchmarks" / "nets").glob("*.py")
    return _digest([*nets, *(p for p in found if p.suffix in (".py", ".so"))])


def _digest(files: Iterable[Path]) -> str:
    state = hashlib.sha256()
    for path in sorted(files):
        state.update(path.relative_to(REPOSITORY).as_posix().encode())
        state.update(path.read_bytes())
    return state.hexdigest()[:12]
