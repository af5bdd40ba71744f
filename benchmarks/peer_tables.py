"""The sections of docs/performance.md that compare plugrt with its peers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import memory as peak_memory
from benchmarks import preparation as preparing
from benchmarks.engine_process import OURS, OURS_FIRST, OURS_LOW
from benchmarks.markdown import paragraph, table

Result = Mapping[str, Any]
Blocks = tuple[str, ...]

TITLES = {
    OURS: "plugrt", OURS_FIRST: "plugrt, first load", OURS_LOW: 'plugrt, memory="low"',
    "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "torch": "torch",
    "torch_compile": "torch compiled",
}  # fmt: skip
CELL = ("net", "batch", "threads", "precision")
OURS_BOTH = (OURS, OURS_LOW)


def latency(result: Result) -> Blocks:
    """Against the peers, cell by cell, and the geometric mean by precision."""
    present = [p for p in _present(result, "median_ms") if p != OURS]
    rows = []
    by_precision: dict[str, list[Mapping[str, float]]] = {}
    for cell in result["cells"]:
        times, ratios = cell["median_ms"], cell["peer_by_ours"]
        peer = min(ratios, key=lambda name: float(ratios[name]["value"]))
        best = ratios[peer]
        by_precision.setdefault(cell["precision"], []).append(best)
        rows.append([
            *_cell(cell), f"{times[OURS]:.3f}",
            *(f"{times[p]:.3f}" if p in times else "" for p in present),
            f"{best['value']:.3f}", _interval(best), f"**{_ahead(best)}**",
            f"{cell['relative_error'][OURS]:.1e}", f"{cell['relative_error'][peer]:.1e}",
        ])  # fmt: skip
    means = [
        [precision, len(found), f"**{_geometric_mean(found):.3f}**",
         sum(best["low"] > 1 for best in found), sum(best["high"] < 1 for best in found)]
        for precision, found in by_precision.items()
    ]  # fmt: skip
    head = (
        *CELL, "plugrt ms", *(f"{TITLES[p]} ms" for p in present), "best peer / plugrt",
        "95 % interval", "plugrt is", "error", "error of that peer",
    )  # fmt: skip
    return (
        paragraph(
            "Each net is built from one seed by the network API and, with equal weights, as ONNX",
            "and for torch. Every engine has a process of its own, gets NumPy arrays and returns",
            "them, called from Python; they take turns until the interval of the best peer is",
            "narrower than 2 %, or for 15 seconds. Peers that are more than 1.2 times as slow as",
            "the best one leave after the first rounds. The ratio is the best peer's time by",
            "plugrt's, so above 1 plugrt is faster. The error is the norm of the difference to",
            "ONNX Runtime's float32 output by its norm, for the worst output.",
        ),
        table(head, rows),
        "Geometric means of best peer / plugrt, and cells whose interval lies wholly above or "
        "below 1:",
        table(("precision", "cells", "geometric mean", "ahead", "behind"), means),
    )


def throughput(result: Result) -> Blocks:
    """Images per second of the throughput modes."""
    present = [p for p in _present(result, "images_per_second") if p != OURS]
    rows = []
    for cell in result["cells"]:
        rates, ratios = cell["images_per_second"], cell["ours_by_peer"]
        best = min(ratios.values(), key=lambda ratio: float(ratio["value"]))
        rows.append([
            cell["net"], cell["precision"], f"{rates[OURS]:.1f}",
            *(f"{rates[p]:.1f}" if p in rates else "" for p in present),
            f"{best['value']:.3f}", _interval(best), f"**{_ahead(best)}**",
        ])  # fmt: skip
    head = ("net", "precision", "plugrt", *(TITLES[p] for p in present),
            "plugrt / best peer", "95 % interval", "plugrt is")  # fmt: skip
    return (
        paragraph(
            "Images per second, batch 1, with as many threads in all as the machine has",
            "processors: plugrt's `ThroughputPool` with contexts of one thread each; one ONNX",
            "Runtime session with one thread of its own, called by several Python threads;",
            "OpenVINO's `AsyncInferQueue` with the hint THROUGHPUT. Every result reaches Python as",
            "NumPy arrays. Above 1 plugrt computes more.",
        ),
        table(head, rows),
    )


def memory(result: Result) -> Blocks:
    """Peaks of the resident sets."""
    present = _present(result, "peak_bytes")
    rows = [
        [
            *_cell(cell),
            *(f"{peaks[p] / 2**20:.0f}" if p in peaks else "" for p in present),
            _yes(peak_memory.within(peaks)),
        ]
        for cell in result["cells"]
        for peaks in [cell["peak_bytes"]]
    ]  # fmt: skip
    return (
        paragraph(
            "The peak of the resident set in MiB of a process that loads a net and runs it three",
            "times, Python and NumPy included. plugrt loads a plan that was built before, the",
            'others the ONNX file, torch its module. `memory="low"` (`--memory low`) leaves out',
            "ways to compute whose packed weights are larger, Winograd's above all.",
        ),
        table((*CELL, *(TITLES[p] for p in present), "low is at most the best peer"), rows),
    )


def preparation(result: Result) -> Blocks:
    """Builds, loads and compilations."""
    present = [p for p in _present(result, "start_seconds") if p != OURS]
    builds = [
        [cell["net"], cell["precision"],
         *(f"{cell['build_seconds'][way]:.2f}" for way in ("untuned", "tuned",
                                                           "from_timing_cache"))]
        for cell in result["cells"]
    ]  # fmt: skip
    starts = [
        [cell["net"], cell["precision"],
         *(f"{start[p]['load'] * 1e3:.0f}" if p in start else "" for p in (OURS, *present)),
         *(f"{start[p]['first_call'] * 1e3:.0f}" if p in start else "" for p in (OURS, *present))]
        for cell in result["cells"] for start in [cell["start_seconds"]]
    ]  # fmt: skip
    names = [TITLES[p] for p in (OURS, *present)]
    limits = preparing.LIMITS
    wanted = f"{limits['load'] * 1e3:g} ms are wanted)"
    told = [
        f"plugrt reads a plan (resnet50: at most {wanted} and packs weights at the first call; ONNX"
    ]
    if OURS_FIRST in present:
        told = [
            "plugrt reads a plan and packs weights at the first call of the first load ever; later",
            f"ones map what that has packed (resnet50: both together at most {wanted}; ONNX",
        ]
    return (
        paragraph(
            "Seconds of building plugrt's plans, batch 1, 2 threads. For resnet50 in float32 at",
            f"most {limits['untuned']:g} s untuned, {limits['tuned']:g} s tuned and",
            f"{limits['from_timing_cache']:g} s from a timing cache are wanted.",
        ),
        table(("net", "precision", "untuned", "tuned", "from timing cache"), builds),
        paragraph(
            "Milliseconds of loading in a new process, imports apart, and of the first call:",
            *told,
            "Runtime and OpenVINO read the ONNX file and compile it; torch makes the module and",
            "compiles, if so, at the first call, with an empty cache.",
        ),
        table(
            ("net", "precision", *(f"load: {n}" for n in names),
             *(f"first call: {n}" for n in names)),
            starts,
        ),
    )  # fmt: skip


def _present(result: Result, column: str) -> Sequence[str]:
    """The contestants that appear, in the order of TITLES."""
    return [kind for kind in TITLES if any(kind in cell[column] for cell in result["cells"])]


def _cell(cell: Result) -> list[object]:
    return [cell[name] for name in CELL]


def _geometric_mean(ratios: Sequence[Mapping[str, float]]) -> float:
    return math.exp(sum(math.log(ratio["value"]) for ratio in ratios) / len(ratios))


def _ahead(ratio: Mapping[str, float]) -> str:
    """What an interval shows in which above 1 is better."""
    if ratio["low"] > 1:
        return "ahead"
    return "behind" if ratio["high"] < 1 else "even"


def _interval(ratio: Mapping[str, float]) -> str:
    return f"{ratio['low']:.4f} to {ratio['high']:.4f}"


def _yes(answer: bool) -> str:
    return "yes" if answer else "**no**"
