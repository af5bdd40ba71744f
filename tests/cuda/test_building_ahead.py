"""How plans of cuDNN are handed to processes, and what is remembered of those it refuses."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from plugrt.plugins import DataType, DeviceError, Format, Input, TensorDesc
from plugrt.plugins.expression import maximum
from plugrt.plugins.native.cuda import Context, kernel_cache
from plugrt.plugins.native.cuda.cudnn import (
    ConvolutionGraph,
    CudnnError,
    build_ahead,
    building_ahead,
    convolution,
)

LAST = Format.CHANNELS_LAST


def graph(size: int = 8, relu: bool = False) -> ConvolutionGraph:
    half = DataType.FLOAT16
    return ConvolutionGraph(
        TensorDesc(half, (1, 16, size, size), LAST), TensorDesc(half, (16, 16, 3, 3), LAST),
        TensorDesc(half, (1, 16, size, size), LAST), (1, 1), (1, 1), (1, 1), (1, 1),
        maximum(Input(0), 0) if relu else Input(0),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A GPU and a cuDNN to make keys with, and an empty cache."""
    properties = SimpleNamespace(name="G", architecture="sm_90", multiprocessors=1)
    monkeypatch.setattr(convolution, "device_properties", lambda ordinal: properties)
    monkeypatch.setattr(convolution, "version", lambda: (9, 0, 0))
    monkeypatch.setenv(kernel_cache.VARIABLE, str(tmp_path))


def test_what_one_compilation_may_serve_stays_together() -> None:
    one = building_ahead.group_of(graph(8), "eng4")
    assert building_ahead.group_of(graph(9), "eng4") == one
    assert building_ahead.group_of(graph(8, relu=True), "eng4") != one
    assert building_ahead.group_of(graph(8), "eng7") != one


def test_a_worker_goes_on_with_what_it_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building_ahead, "_Worker", lambda crew: SimpleNamespace(join=list))
    crew = building_ahead._Crew(0, 2)
    first, second = SimpleNamespace(), SimpleNamespace()
    for size, name in ((8, "eng4"), (9, "eng4"), (8, "eng7"), (8, "eng2"), (8, "eng4")):
        crew.add(graph(size), name)
    assert crew.take(first) == [(graph(8), "eng4"), (graph(9), "eng4")]
    assert crew.take(second) == [(graph(8), "eng7")]
    crew.add(graph(10), "eng4")
    assert crew.take(second) == [(graph(8), "eng2")]
    crew.add(graph(10), "eng7")
    assert crew.take(first) == [(graph(10), "eng4")]
    assert crew.take(first) == [(graph(10), "eng7")]  # nothing else is left
    crew.finish()
    assert crew.take(first) is None


def test_processes_take_group_by_group() -> None:
    requests = [(graph(size), f"eng{size}") for size in range(8, 14)]
    found = build_ahead(requests, ordinal=99, processes=2)  # they find no such GPU, and go on
    assert set(found) == set(requests)
    assert all(seconds >= 0 for seconds in found.values())


def test_few_plans_are_left_to_whoever_needs_them() -> None:
    assert build_ahead([(graph(), "eng4")]) == {}


class Played:
    """A context of no GPU."""

    def current(self) -> Any:
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        return None


@pytest.mark.parametrize(("status", "remembered"), [(3000, True), (4000, False)])
def test_refused_plans_are_remembered(
    monkeypatch: pytest.MonkeyPatch, status: int, remembered: bool
) -> None:
    tried: list[str] = []

    def build_plan(context: Any, descriptor: Any, name: str, constants: Any) -> Any:
        tried.append(name)
        raise CudnnError("no", status)

    monkeypatch.setattr(convolution, "build_plan", build_plan)
    monkeypatch.setattr(Context, "of", lambda ordinal: Played())
    monkeypatch.setattr(ConvolutionGraph, "_graph", lambda self, context: (None, {}))
    for _ in range(2):
        with pytest.raises(DeviceError):
            graph().build("eng4")
    assert len(tried) == (1 if remembered else 2)
    with pytest.raises(DeviceError):
        graph(9).build("eng4")
    assert len(tried) == (2 if remembered else 3)


def test_proposals_are_remembered_with_whether_numbers_may_be_rounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def plan_names(descriptor: Any, forbidden: frozenset[int]) -> list[str]:
        asked.append(forbidden)
        return ["eng4", f"eng{len(forbidden)}"]

    monkeypatch.setattr(convolution, "plan_names", plan_names)
    monkeypatch.setattr(Context, "of", lambda ordinal: Played())
    monkeypatch.setattr(ConvolutionGraph, "_graph", lambda self, context: (None, {}))
    single = TensorDesc(DataType.FLOAT32, (1, 16, 8, 8), LAST)
    exact = replace(graph(), input=single, output=single, weights=replace(single))
    for _ in range(2):
        assert exact.plans() == ["eng4", "eng4"]
        assert replace(exact, tf32=True).plans() == ["eng4", "eng2"]
    assert len(asked) == 2
