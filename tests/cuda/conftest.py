"""What the tests of the CUDA device share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from plugrt.core.devices.cuda import host_copies
from plugrt.plugins.native import cuda
from plugrt.plugins.native.cuda import devices, packages

from .fake_driver import FakeDriver
from .played_hopper import PlayedHopper

CACHES = (
    devices.initialize, devices.unavailable_reason, devices.device_properties,
    host_copies._function,
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `cuda`, with the reason, where no GPU can be used."""
    reason = cuda.unavailable_reason()
    if reason is not None:
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason=f"needs a CUDA device: {reason}"))


@pytest.fixture(autouse=True)
def own_kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor fill the user's cache."""
    folder = tmp_path_factory.getbasetemp() / "kernels"
    patch = pytest.MonkeyPatch()
    patch.setenv("PLUGRT_KERNEL_CACHE", str(folder))
    yield
    patch.undo()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """A driver that is played, and must have been asked nothing impossible at the end."""
    if cuda.available():
        pytest.skip("the real driver is in use")
    fake = FakeDriver()
    monkeypatch.setattr(packages, "_module", lambda name, distribution: fake)
    monkeypatch.setattr(host_copies, "function_address", fake.address_of)
    monkeypatch.setattr(cuda, "library_versions", lambda: {"cudnn": "none"})
    for cached in CACHES:
        cached.cache_clear()
    yield fake
    gc.collect()
    monkeypatch.undo()
    for cached in CACHES:
        cached.cache_clear()
    assert fake.faults == []


@pytest.fixture
def hopper(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> PlayedHopper:
    """An H200 without libraries, so that own kernels do everything."""
    return PlayedHopper(driver, monkeypatch)
