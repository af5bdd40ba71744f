"""Our C under ThreadSanitizer: every kernel on a team, and engines that many threads share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from plugrt.plugin_registry import Registry
from tests.thread_sanitizer.instrumented import (
    FAILED,
    HERE,
    build_packages,
    build_team,
    compile_c,
    run_instrumented,
    sanitizer_library,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="libtsan is preloaded as Linux does it"),
]

PARTS = 4
"""Processes over which the layers are spread."""

Run = Callable[[Sequence[str]], str]


@pytest.fixture(scope="module")
def library() -> Path:
    found = sanitizer_library()
    if found is None:
        pytest.skip("the C compiler has no ThreadSanitizer (libtsan)")
    return found


@pytest.fixture(scope="module")
def folders(library: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return build_packages(tmp_path_factory.mktemp("instrumented"))


@pytest.fixture
def workload(library: Path, folders: list[Path]) -> Run:
    def run(arguments: Sequence[str]) -> str:
        script = str(HERE / "workload.py")
        done = run_instrumented([script, *arguments], library, folders)
        report = f"{done.stdout[-2000:]}\n{done.stderr[:8000]}"
        assert done.returncode == 0, report
        assert "WARNING: ThreadSanitizer" not in done.stderr, report
        assert done.stdout.startswith(str(folders[0])), "another plugrt was imported"
        return done.stdout

    return run


@pytest.mark.parametrize(("function", "status"), [("race", FAILED), ("no_race", 0)])
def test_a_race_is_found(library: Path, tmp_path: Path, function: str, status: int) -> None:
    """And a barrier, and the end of a region, are understood."""
    made = tmp_path / "racing.so"
    sources = [str(HERE / "racing.c"), str(build_team(tmp_path))]
    compile_c(["-fopenmp", "-fPIC", "-shared", *sources, "-o", str(made)])
    script = f"import ctypes; print(ctypes.CDLL({str(made)!r}).{function}(3))"
    done = run_instrumented(["-c", script], library)
    assert done.returncode == status, done.stderr
    assert ("data race" in done.stderr) == bool(status)
    if not status:
        assert int(done.stdout) == sum(range(4097))


def test_nothing_of_ours_runs_on_libgomp(folders: list[Path]) -> None:
    """Else a construct is new to pthread_team.c: two teams would be mixed."""
    extensions = [path for folder in folders for path in folder.rglob("*.so")]
    assert len(extensions) == 4
    for extension in extensions:
        undefined = subprocess.run(
            ["nm", "-D", "-u", str(extension)], capture_output=True, text=True, check=True
        ).stdout
        assert "GOMP_" not in undefined, extension


@pytest.mark.parametrize("part", range(PARTS))
def test_kernels_of_every_layer(workload: Run, part: int) -> None:
    names = Registry.default().names("layers")[part::PARTS]
    told = workload(["layers", *names])
    assert all(f"{name}: passed" in told for name in names)


def test_engines_that_threads_share(workload: Run) -> None:
    assert "data dependent, 3 threads" in workload(["contexts"])
