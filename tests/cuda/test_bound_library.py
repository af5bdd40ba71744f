"""Handles of bound libraries: one on each GPU, given back with it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from plugrt.plugins import DeviceError
from plugrt.plugins.native.cuda import Context, bound_library
from plugrt.plugins.native.cuda.bound_library import LibraryHandle, reason_without

from .fake_driver import FakeDriver


class Played(LibraryHandle):
    """A library that counts."""

    name = "Played"
    doings: list[str] = []
    ended: list[Any] = []

    @staticmethod
    def create(doing: str) -> Any:
        Played.doings.append(doing)
        return len(Played.doings)

    @staticmethod
    def destroy(address: Any) -> None:
        Played.ended.append(address)


class Other(Played):
    name = "Other"


def test_there_is_one_handle_on_a_gpu(driver: FakeDriver) -> None:
    Played.doings.clear()
    Played.ended.clear()
    context = Context.of(0)
    assert Played.of(context) is Played.of(context)
    assert Played.of(context).address == 1
    assert Other.of(context) is not Played.of(context)
    assert Played.doings == ["starting Played on GPU 0", "starting Other on GPU 0"]
    del context
    gc.collect()
    assert sorted(Played.ended) == [1, 2]


def test_a_library_that_does_not_start_is_tried_again(driver: FakeDriver) -> None:
    class Failing(Played):
        name = "Failing"
        attempts = 0

        @staticmethod
        def create(doing: str) -> Any:
            Failing.attempts += 1
            if Failing.attempts == 1:
                raise DeviceError(f"{doing}: no")
            return 7

    context = Context.of(0)
    with pytest.raises(DeviceError, match="starting Failing on GPU 0: no"):
        Failing.of(context)
    assert Failing.of(context).address == 7


@pytest.mark.parametrize(
    ("gpu", "library", "reason"),
    [("no GPU", "no library", "no GPU"), (None, "no library", "no library"), (None, None, None)],
)
def test_the_reason_is_the_first_that_holds(
    gpu: str | None, library: str | None, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bound_library, "no_gpu_reason", lambda: gpu)
    assert reason_without(_loading(library)) == reason


def _loading(failure: str | None) -> Callable[[], None]:
    def load() -> None:
        if failure is not None:
            raise DeviceError(failure)

    return load
