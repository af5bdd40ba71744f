"""Fixtures and reports shared by all tests."""

import ctypes
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import settings

# On a busy machine a limit of time per example would fail at random.
settings.register_profile("plugrt", deadline=None)
settings.load_profile("plugrt")

# Tests leave the user's cache alone, and start without what others have packed.
os.environ["PLUGRT_PACKED_CACHE"] = "off"

NEEDS_DATA = "needs PLUGRT_DATA"
NEEDS_CUDA = "needs a CUDA device"


@pytest.fixture(scope="session")
def data_path() -> Callable[[str], Path]:
    """A function from a path below PLUGRT_DATA to the real path.

    It skips the test where PLUGRT_DATA is unset; where it is set, an absent file is a failure.
    """

    def locate(relative: str) -> Path:
        root = os.environ.get("PLUGRT_DATA")
        if not root:
            pytest.skip(f"{NEEDS_DATA}: {relative}")
        path = Path(root, relative)
        if not path.exists():
            pytest.fail(f"PLUGRT_DATA is {root}, which holds no {relative}")
        return path

    return locate


@pytest.fixture
def labels_folder(
    tmp_path: Path, data_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder to work in, with data/ as definitions name its files."""
    (tmp_path / "data").symlink_to(data_path("darknet/labels"), target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def third_party_wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Wheels of plugrt-twins and plugrt-numpy-layer."""
    folder, here = tmp_path_factory.mktemp("wheels"), Path(__file__).parent
    wheels = []
    for source in (here / "third_party_package", here / "numpy_only_package"):
        script = [sys.executable, str(here / "build_wheel.py"), str(source), str(folder)]
        result = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True)
        wheels.append(Path(result.stdout.strip()))
    return wheels


@pytest.fixture(scope="session")
def third_parties(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The folder on sys.path into which pip has installed the two distributions, or where they
    were before.

    A registry sees them when it is made afterwards, by `Registry.discover()`.
    """
    installed = [d for d in metadata.distributions() if d.name == "plugrt-twins"]
    if installed:
        yield Path(str(installed[0].locate_file("")))
        return
    third_party_wheels: list[Path] = request.getfixturevalue("third_party_wheels")
    folder = tmp_path_factory.mktemp("third_parties")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    offline = ["--no-index", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, *offline, *map(str, third_party_wheels)], check=True)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield folder
    sys.path.remove(str(folder))


@cache
def cuda_device_count() -> int:
    """The number of CUDA devices that the driver offers; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked `cuda` on machines without a device."""
    if item.get_closest_marker("cuda") and not cuda_device_count():
        pytest.skip(NEEDS_CUDA)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped because the real models and pictures are not here."""
    reasons = [
        report.longrepr[2]
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    ]
    count = sum(reason.startswith(f"Skipped: {NEEDS_DATA}") for reason in reasons)
    # .ci/run repeats this line.
    terminalreporter.write_line(f"skipped for want of data: {count}")
