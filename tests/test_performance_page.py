"""docs/performance.md says what the results say, and nothing else."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MACHINE = {
    "processor": "Abacus 9", "cores": 2, "memory_gib": 8.0, "features": ["avx2"],
    "system": "Linux 1", "python": "3.10.0", "scheduling": "normal",
    "versions": {"plugrt": "0.1.0", "peer": "7"},
}  # fmt: skip


def interval(value: float, low: float, high: float) -> dict[str, float]:
    """A ratio as results files hold it."""
    return {"value": value, "low": low, "high": high}


def cell(net: str, ratio: dict[str, float]) -> dict[str, Any]:
    """One net of latency.json."""
    return {
        "net": net, "batch": 1, "threads": 2, "precision": "fp32",
        "relative_error": {"plugrt": 1.5e-6, "onnxruntime": 0.0, "torch": 2e-6},
        "median_ms": {"plugrt": 2.5, "onnxruntime": 3.25, "torch": 9.0},
        "peer_by_ours": {"onnxruntime": ratio, "torch": interval(3.6, 3.5, 3.7)},
    }  # fmt: skip


LATENCY = {
    "machine": MACHINE,
    "cells": [
        cell("quick", interval(1.25, 1.0001, 1.3)),
        cell("alike", interval(1.0, 0.95, 1.0)),
        cell("slow", interval(0.8, 0.75, 0.9999)),
    ],
}
THROUGHPUT = {
    "machine": MACHINE,
    "cells": [
        {"net": "quick", "batch": 1, "threads": 1, "precision": "bf16",
         "images_per_second": {"plugrt": 120.0, "onnxruntime": 100.0, "openvino": 125.0},
         "ours_by_peer": {"onnxruntime": interval(1.2, 1.1, 1.3),
                          "openvino": interval(0.96, 0.95, 0.97)}},
    ],
}  # fmt: skip
PEAKS = {
    "machine": MACHINE,
    "cells": [
        {"net": net, "batch": 8, "threads": 2, "precision": "fp32",
         "peak_bytes": {"plugrt": 9 * 2**20, "plugrt_low": low * 2**20, "onnxruntime": 2**23,
                        "openvino": 2**24}}
        for net, low in (("lean", 8), ("fat", 9))
    ],
}  # fmt: skip
PREPARATION = {
    "machine": MACHINE,
    "cells": [
        {"net": "quick", "batch": 1, "threads": 2, "precision": "fp32",
         "build_seconds": {"untuned": 0.25, "tuned": 12.0, "from_timing_cache": 0.5},
         "start_seconds": {
             "plugrt": {"import": 0.1, "load": 0.075, "first_call": 0.025},
             "openvino": {"import": 0.2, "load": 0.5, "first_call": 0.012},
         }},
    ],
}  # fmt: skip
SHARE = {
    "machine": {**MACHINE, "cores": 1},
    "rows": [
        {"kind": kind, "layers": n, "call_us": 5 + n * each, "replay_us": n * each,
         "interpreter_us": 5.0}
        for kind, each in (("recorded", 0.5), ("host_callback", 4.0))
        for n in (1, 11)
    ],
}  # fmt: skip
TAX = {
    "machine": MACHINE,
    "nets": [
        {
            "net": "tiny", "batch": 1, "threads": 2, "twins": {"Twins.Add": 3},
            "denied_types_left": [], "commands": {"A": 9, "A2": 9, "B": 10},
            "arena_bytes": {"A": 640, "A2": 640, "B": 640}, "fusions": {"A": 4, "A2": 4, "B": 4},
            "differing": ["commands"], "outputs_bit_equal": True, "times_measured_for_B": 0,
            "median_ms": {"A": 1.0, "A2": 1.001, "B": 1.02},
            "latency_ratio": {"B/A": interval(1.02, 1.01, 1.03), "A2/A": interval(1, 0.99, 1.01)},
            "passed": False,
        }
    ],
}  # fmt: skip
GPU_TAX = {
    "machine": MACHINE,
    "nets": [
        {
            "net": "tiny", "batch": 1, "precision": "fp16", "twins": {"Twins.Add": 3},
            "graph_nodes": {"A": 9, "A2": 9, "B": 10},
            "arena_bytes": {"A": 640, "A2": 640, "B": 640}, "fusions": {"A": 4, "A2": 4, "B": 4},
            "differing": ["commands"], "outputs_bit_equal": True,
            "asked_for_the_same_times": False, "median_ms": {"A": 0.1, "A2": 0.1002, "B": 0.102},
            "latency_ratio": {"B/A": interval(1.02, 1.01, 1.03), "A2/A": interval(1, 0.99, 1.01)},
            "passed": False,
        }
    ],
}  # fmt: skip
ARENA = {
    "machine": MACHINE,
    "nets": [
        {"net": "neat", "batch": 1, "threads": 2, "arena_bytes": 1150, "live_maximum_bytes": 1000,
         "ratio": 1.15},
        {"net": "wide", "batch": 1, "threads": 2, "arena_bytes": 1200, "live_maximum_bytes": 1000,
         "ratio": 1.2},
    ],
}  # fmt: skip


DETECTION = {
    "machine": MACHINE, "net": "tiny", "threads": 2,
    "cells": [
        {
            "picture": picture, "preparation": "stretched", "candidates": 30, "detections": 7,
            "calls": 10, "ratio_to_network": interval(share, share - 0.01, share + 0.01),
            "median_ms": {"decoding": 3.0, "preparation": 0.5, "network": 10.0, "boxes": 0.25,
                          "call": 10.8},
        }
        for picture, share in (("6 x 5", 0.075), ("60 x 50", 0.095))
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def report() -> Iterator[ModuleType]:
    """The module benchmarks.report of this checkout."""
    sys.path.insert(0, str(ROOT))
    try:
        yield importlib.import_module("benchmarks.report")
    finally:
        sys.path.remove(str(ROOT))


def row(page: str, start: str) -> list[str]:
    """The cells of the table row that begins with these cells."""
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {start} |"))
    return [text.strip() for text in line.strip("|").split("|")]


def put(folder: Path, **results: object) -> None:
    """Results files, by name."""
    for name, result in results.items():
        (folder / f"{name}.json").write_text(json.dumps(result))


def test_page_is_what_the_results_give(report: ModuleType) -> None:
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    assert page == report.page(report.RESULTS), "run: python -m benchmarks.report"


def test_every_results_file_is_reported(report: ModuleType) -> None:
    known = {measurement.file for measurement in report.MEASUREMENTS}
    assert {path.name for path in report.RESULTS.glob("*")} <= known
    assert {measurement.name for measurement in report.MEASUREMENTS} == set(report.SECTIONS)
    for measurement in report.MEASUREMENTS:
        assert (ROOT / f"benchmarks/{measurement.name}.py").is_file()


def test_without_results_nothing_has_been_measured(report: ModuleType, tmp_path: Path) -> None:
    page = report.page(tmp_path)
    assert "Nothing has been measured yet." in page
    assert "make bench" in page
    assert "|" not in page


def test_verdicts_follow_from_the_intervals(report: ModuleType, tmp_path: Path) -> None:
    put(tmp_path, latency=LATENCY)
    page = report.page(tmp_path)
    assert row(page, "quick") == [
        "quick", "1", "2", "fp32", "2.500", "3.250", "9.000", "1.250", "1.0001 to 1.3000",
        "**ahead**", "1.5e-06", "0.0e+00",
    ]  # fmt: skip
    assert row(page, "alike")[9] == "**even**"
    assert row(page, "slow")[9] == "**behind**"
    assert row(page, "fp32") == ["fp32", "3", "**1.000**", "1", "1"]
    assert "Abacus 9, 2 cores, 8.0 GiB of memory, avx2; Linux 1, Python 3.10.0" in page
    assert "Versions: plugrt 0.1.0, peer 7." in page
    assert "python -m benchmarks.latency --json benchmarks/results/" in page
    assert page.count("Not measured yet.") == len(report.MEASUREMENTS) - 1


def test_throughput_memory_and_preparation(report: ModuleType, tmp_path: Path) -> None:
    put(tmp_path, throughput=THROUGHPUT, memory=PEAKS, preparation=PREPARATION)
    page = report.page(tmp_path)
    assert row(page, "quick | bf16")[2:] == [
        "120.0", "100.0", "125.0", "0.960", "0.9500 to 0.9700", "**behind**"
    ]  # fmt: skip
    assert row(page, "lean")[4:] == ["9", "8", "8", "16", "yes"]
    assert row(page, "fat")[8] == "**no**"
    _, _, times = page.partition("Seconds of building")
    builds, _, starts = times.partition("Milliseconds of loading")
    assert row(builds, "quick")[2:] == ["0.25", "12.00", "0.50"]
    assert row(starts, "quick")[2:] == ["75", "500", "25", "12"]


def test_tax_is_told_with_its_control(report: ModuleType, tmp_path: Path) -> None:
    put(tmp_path, plugin_tax=TAX)
    page = report.page(tmp_path)
    assert row(page, "tiny | 1 | 2 | twins")[4:] == [
        "1.020", "1.000", "1.0200", "1.0100 to 1.0300", "**behind**", "**no**"
    ]  # fmt: skip
    assert row(page, "tiny | 1 | 2 | control")[8:] == ["**even**", "yes"]
    assert row(page, "tiny | 9, 10")[2:] == [
        "640, 640", "4, 4", "yes", "commands", "none", "0", "**failed**"
    ]  # fmt: skip
    assert "- tiny: Twins.Add 3" in page


def test_tax_on_a_gpu(report: ModuleType, tmp_path: Path) -> None:
    put(tmp_path, gpu_plugin_tax=GPU_TAX)
    page = report.page(tmp_path)
    assert row(page, "tiny | fp16 | twins")[3:] == [
        "0.1020", "0.1000", "1.0200", "1.0100 to 1.0300", "**no**"
    ]  # fmt: skip
    assert row(page, "tiny | fp16 | control")[7:] == ["yes"]
    assert row(page, "tiny | 9, 10")[2:] == [
        "640, 640", "4, 4", "yes", "commands", "**no**", "**failed**"
    ]  # fmt: skip
    assert "- tiny: Twins.Add 3" in page


def test_shares_and_arenas(report: ModuleType, tmp_path: Path) -> None:
    put(tmp_path, interpreter_share=SHARE, arena=ARENA)
    page = report.page(tmp_path)
    assert row(page, "11") == ["11", "10.5", "5.5", "5.0", "49.0"]
    sentence = " ".join(page.split())
    assert "each recordable layer adds 0.000 µs to the time in the interpreter" in sentence
    assert "0.500 µs to the call. Each NumPy layer adds 4.000 µs to the call." in sentence
    assert row(page, "neat")[3:] == ["1,150", "1,000", "1.150", "yes"]
    assert row(page, "wide")[5:] == ["1.200", "**no**"]
    assert "- No Python per layer: Abacus 9, 1 core," in page
    assert "- The arena of a plan: Abacus 9, 2 cores," in page


def test_shares_of_a_detection(report: ModuleType, tmp_path: Path) -> None:
    put(tmp_path, detection_overhead=DETECTION)
    page = report.page(tmp_path)
    assert row(page, "6 x 5")[3:] == [
        "7", "0.50", "0.25", "10.00", "7.5%", "6.5% to 8.5%", "yes", "3.00"
    ]  # fmt: skip
    assert row(page, "60 x 50")[9] == "**no**"
