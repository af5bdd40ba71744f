"""Real, tiny distributions: a folder on sys.path with modules and a dist-info beside them."""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """A function that installs a distribution for the length of a test.

    `install("vendor-layers", "1.2", {"vendor": source}, {"plugrt.layers": {"X": "vendor:X"}})`
    """
    before = set(sys.modules)

    def put(
        name: str,
        version: str,
        modules: Mapping[str, str],
        entry_points: Mapping[str, Mapping[str, str]],
    ) -> Path:
        site = tmp_path / f"{name}-{version}"
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        for module, source in modules.items():
            (site / f"{module}.py").write_text(dedent(source))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = []
        for group, points in entry_points.items():
            lines += [f"[{group}]", *(f"{point} = {value}" for point, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(str(site))
        importlib.invalidate_caches()
        return site

    yield put
    for module in set(sys.modules) - before:
        origin = getattr(sys.modules[module], "__file__", None) or ""
        if origin.startswith(str(tmp_path)):
            del sys.modules[module]
