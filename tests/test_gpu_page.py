"""What docs/performance.md says of the GPU's latency, layers, builds, lanes and detection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def this_checkout() -> Iterator[None]:
    """Lets `benchmarks` be imported."""
    sys.path.insert(0, str(ROOT))
    yield
    sys.path.remove(str(ROOT))


def interval(value: float, low: float, high: float) -> dict[str, float]:
    """A ratio as results files hold it."""
    return {"value": value, "low": low, "high": high}


def rows(page: str, start: str) -> list[list[str]]:
    """The cells of the table rows that begin with these."""
    found = [line for line in page.splitlines() if line.startswith(f"| {start} |")]
    return [[text.strip() for text in line.strip("|").split("|")] for line in found]


def section(module: str, name: str, result: dict[str, Any]) -> str:
    """A section's text."""
    return "\n\n".join(getattr(import_module(f"benchmarks.{module}"), name)(result))


def cell(net: str, best: dict[str, float]) -> dict[str, Any]:
    """A row of gpu_latency.json."""
    return {
        "net": net, "batch": 32, "precision": "fp16",
        "median_ms": {"plugrt": 1.0, "torch_compile": 1.25, "torch_graph": 3.0},
        "peer_by_ours": {"torch_compile": best, "torch_graph": interval(3, 2.9, 3.1)},
        "relative_error": {"plugrt": 1e-3, "torch_compile": 2e-3, "torch_graph": 3e-3},
    }  # fmt: skip


def test_a_row_passes_where_its_whole_interval_does() -> None:
    page = section("gpu_tables", "latency", {"cells": [
        cell("clear", interval(1.25, 1.2, 1.3)), cell("close", interval(1.18, 1.17, 1.19)),
    ]})  # fmt: skip
    (clear,), (close,) = rows(page, "clear"), rows(page, "close")
    assert clear[7:] == ["0.800", "0.769 to 0.833", "yes", "1.0e-03", "2.0e-03"]
    assert close[9] == "**no**"


def test_layers_are_told_by_what_they_lose() -> None:
    layers = [
        {"layer": name, "type": "Convolution", "tactic": "own", "output": [1, 8, 4, 4],
         "microseconds": took, "floor": floor}
        for name, took, floor in (("near", 100.0, 90.0), ("far", 60.0, 10.0))
    ]  # fmt: skip
    page = section("gpu_tables", "layers", {
        "ceilings": {"fp16_tflops": 759.0, "copy_gb_per_second": 4263.0},
        "cells": [{"net": "n", "batch": 1, "layers": layers}],
    })  # fmt: skip
    total, *each = rows(page, "n")
    assert total == ["n", "1", "2", "160", "100", "62%", "1"]
    assert [row[2] for row in each] == ["far", "near"]
    assert each[0][-3:] == ["60.0", "10.0", "17%"]


@pytest.mark.parametrize(("share", "answer"), [(0.15, "yes"), (0.16, "**no**")])
def test_what_lies_around_the_network(share: float, answer: str) -> None:
    net = {
        "net": "n", "frame": [1, 1080, 1920, 3], "network_ms": 0.5, "end_to_end_on_gpu_ms": 0.55,
        "end_to_end_ms": 0.575, "around_network": share, "candidates": 150, "boxes": 90,
        "graph_launches": 1, "nodes": 30, "call_ms": 0.6, "host_us": 12.34,
    }  # fmt: skip
    result = {"empty_call": {"host_us": 11.0}, "nets": [net]}
    ((*_, answered, _, _, launches, _, _, host),) = rows(
        section("gpu_engine_tables", "detection", result), "n"
    )
    assert (answered, launches, host) == (answer, "1", "12.3")


def test_builds_and_lanes() -> None:
    times = {"cold": 30.5, "from_cache": 1.5, "load": 0.25, "first_result": 0.125}
    built = {"net": "n", "batch": 1, "candidates_timed": 9, "plan_megabytes": 51.5, **times}
    ((_, _, timed, *seconds),) = rows(
        section("gpu_engine_tables", "preparation", {"cells": [built]}), "n"
    )
    assert timed == "9"
    assert [text for text in seconds if text] == ["30.50", "1.50", "0.25", "0.12", "51.5"]
    lanes = [
        {"net": "n", "batch": 1, "lanes": count, "chosen": 2, "median_ms": ms, "nodes": 9,
         "edges": 8, "arena_mib": 1.5}
        for count, ms in ((1, 0.5), (2, 0.4))
    ]  # fmt: skip
    found = rows(section("gpu_engine_tables", "lanes", {"rows": lanes}), "n")
    assert [row[2:5] for row in found] == [["1", "0.5000", ""], ["2", "0.4000", "chosen"]]
