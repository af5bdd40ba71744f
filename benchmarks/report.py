"""docs/performance.md from the results: python -m benchmarks.report [--check]

Nothing on the page is written by hand, so that it cannot say anything else than the results do.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import (
    gpu_engine_tables,
    gpu_plugin_tax_table,
    gpu_tables,
    gpu_throughput_table,
    peer_tables,
)
from benchmarks.arena import LIMIT as ARENA_LIMIT
from benchmarks.detection_table import detection_overhead
from benchmarks.markdown import code, count, paragraph, table
from benchmarks.suite import MEASUREMENTS, PAGE, REPOSITORY, RESULTS, Measurement

Result = Mapping[str, Any]
Blocks = tuple[str, ...]
"""Paragraphs, tables and the like, with an empty line between any two."""

TAX_LIMIT = 0.01
"""How far from 1 the interval of a plug-in's ratio may reach."""

HEAD = """\
<!-- Written by `python -m benchmarks.report` from benchmarks/results. Do not edit. -->

# Performance"""

NOTHING = paragraph(
    "Nothing has been measured yet. `make bench` runs every measurement and rewrites this page."
)

READING = "\n\n".join([
    "`make bench` measures everything again and rewrites this page.",
    paragraph(
        "Contestants run in turns, block by block, so that what else happens on the machine meets",
        "all of them alike. Times are medians; beside a ratio stands its 95 % confidence interval,",
        "bootstrapped. The interval alone says what a cell shows: ahead or behind where it lies",
        "wholly on one side of 1, even where it holds 1.",
    ),
])  # fmt: skip


def write() -> None:
    """Write the page from the results of this repository."""
    PAGE.write_text(page(RESULTS), encoding="utf-8")


def page(folder: Path) -> str:
    """The whole page, from the results files in a folder."""
    found = {
        measurement.name: json.loads((folder / measurement.file).read_text(encoding="utf-8"))
        for measurement in MEASUREMENTS
        if (folder / measurement.file).exists()
    }
    blocks = [HEAD]
    if not found:
        blocks.append(NOTHING)
    else:
        blocks += [READING, *_machines(found)]
        for measurement in MEASUREMENTS:
            blocks += _section(measurement, found.get(measurement.name))
    return "\n\n".join(blocks) + "\n"


def _section(measurement: Measurement, result: Result | None) -> Blocks:
    title, describe = SECTIONS[measurement.name]
    told: Blocks = ("Not measured yet.",)
    if result is not None:
        told = (*describe(result), _versions(result))
    setting = "PLUGRT_DATA=... " if measurement.needs_data else ""
    repeat = " ".join(["python", *measurement.words])
    return (f"## {title}", *told, "To repeat:", code([setting + repeat]))


# ---- sections -----------------------------------------------------------------------------


def plugin_tax(result: Result) -> Blocks:
    """Twins against built-ins, beside the control."""
    times, checks, twins = [], [], []
    for net in result["nets"]:
        median = net["median_ms"]
        for label, contestant in (("twins", "B"), ("control", "A2")):
            ratio = net["latency_ratio"][f"{contestant}/A"]
            times.append([
                net["net"], net["batch"], net["threads"], label, f"{median[contestant]:.3f}",
                f"{median['A']:.3f}", f"{ratio['value']:.4f}", _interval(ratio),
                f"**{verdict(ratio)}**", _yes(_within(ratio, TAX_LIMIT)),
            ])  # fmt: skip
        checks.append([
            net["net"], *(_pair(net[key]) for key in ("commands", "arena_bytes", "fusions")),
            _yes(net["outputs_bit_equal"]), ", ".join(net["differing"]) or "nothing",
            ", ".join(net["denied_types_left"]) or "none", net["times_measured_for_B"],
            "**passed**" if net["passed"] else "**failed**",
        ])  # fmt: skip
        uses = ", ".join(f"{name} {uses}" for name, uses in net["twins"].items())
        twins.append(f"- {net['net']}: {uses}")
    time_head = ("net", "batch", "threads", "contestant", "its ms", "built-in ms", "ratio",
                 "95 % interval", "it is", "within 1 %")  # fmt: skip
    check_head = ("net", "commands", "arena bytes", "fusions", "outputs bit-equal", "differing",
                  "built-ins left", "tactics timed anew", "all in all")  # fmt: skip
    return (
        paragraph(
            "Every layer that has a twin in the third-party distribution of the tests is denied,",
            "and the twin used instead. The control is the built-in engine built a second time:",
            "how well this machine tells two equal engines apart. A net passes when both intervals",
            "lie within 1 % of 1 and nothing else differs.",
        ),
        table(time_head, times),
        "Of both plans, built-in and twins:",
        table(check_head, checks),
        "Twins in use, with the number of layers in the network:",
        "\n".join(twins),
    )


def interpreter_share(result: Result) -> Blocks:
    """Time in the interpreter by number of layers, beside layers that are called back."""
    kinds: dict[str, dict[int, Any]] = {"recorded": {}, "host_callback": {}}
    for row in result["rows"]:
        kinds[row["kind"]][row["layers"]] = row
    recorded, called_back = kinds["recorded"], kinds["host_callback"]
    columns = ("call_us", "replay_us", "interpreter_us")
    rows = [
        [
            f"{length}",
            *(f"{recorded[length][column]:.1f}" for column in columns),
            f"{called_back[length]['call_us']:.1f}" if length in called_back else "",
        ]
        for length in sorted(recorded)
    ]
    head = ("layers", "call", "in C", "in the interpreter", "NumPy layers: call")
    return (
        paragraph(
            "A chain of tiny recordable layers, fusion off, one thread; medians in microseconds.",
            "In C is the replay of all layers; the interpreter has the rest of the call. Beside",
            "it the same chain of NumPy layers, each of which the replay calls back in the",
            "interpreter.",
        ),
        table(head, rows),
        paragraph(
            f"From {min(recorded)} to {max(recorded)} layers, each recordable layer adds",
            f"{_per_layer(recorded, 'interpreter_us'):.3f} µs to the time in the interpreter, and",
            f"{_per_layer(recorded, 'call_us'):.3f} µs to the call. Each NumPy layer adds",
            f"{_per_layer(called_back, 'call_us'):.3f} µs to the call.",
        ),
    )


def arena(result: Result) -> Blocks:
    """Arenas against what is alive."""
    rows = [
        [
            net["net"], net["batch"], net["threads"], f"{net['arena_bytes']:,}",
            f"{net['live_maximum_bytes']:,}", f"{net['ratio']:.3f}",
            _yes(net["ratio"] <= ARENA_LIMIT),
        ]
        for net in result["nets"]
    ]  # fmt: skip
    head = ("net", "batch", "threads", "arena bytes", "most alive at once", "ratio",
            f"at most {ARENA_LIMIT}")  # fmt: skip
    return (
        paragraph(
            "All intermediate tensors and workspaces of a plan lie in one arena. What is alive at",
            "once is computed from the list of layers by a program that shares no code with the",
            "planner.",
        ),
        table(head, rows),
    )


SECTIONS: Mapping[str, tuple[str, Callable[[Result], Blocks]]] = {
    "latency": ("Latency against the peers", peer_tables.latency),
    "throughput": ("Throughput against the peers", peer_tables.throughput),
    "memory": ("Peak memory against the peers", peer_tables.memory),
    "preparation": ("Building and loading", peer_tables.preparation),
    "plugin_tax": ("What a plug-in costs", plugin_tax),
    "interpreter_share": ("No Python per layer", interpreter_share),
    "arena": ("The arena of a plan", arena),
    "detection_overhead": ("Pictures and boxes beside the network", detection_overhead),
    "gpu_latency": ("GPU: latency against the peers", gpu_tables.latency),
    "gpu_layers": ("GPU: layers and the roofline", gpu_tables.layers),
    "gpu_detection": ("GPU: from a frame's bytes to boxes", gpu_engine_tables.detection),
    "gpu_throughput": ("GPU: many requests", gpu_throughput_table.throughput),
    "gpu_lanes": ("GPU: layers beside each other", gpu_engine_tables.lanes),
    "gpu_preparation": ("GPU: building and loading", gpu_engine_tables.preparation),
    "gpu_plugin_tax": ("GPU: what a plug-in costs", gpu_plugin_tax_table.plugin_tax),
}


# ---- words and numbers --------------------------------------------------------------------


def verdict(ratio: Mapping[str, float]) -> str:
    """What a ratio's interval shows of the first contestant."""
    if ratio["high"] < 1:
        return "ahead"
    return "behind" if ratio["low"] > 1 else "even"


def _within(ratio: Mapping[str, float], limit: float) -> bool:
    return ratio["low"] >= 1 - limit and ratio["high"] <= 1 + limit


def _interval(ratio: Mapping[str, float]) -> str:
    return f"{ratio['low']:.4f} to {ratio['high']:.4f}"


def _pair(values: Mapping[str, int]) -> str:
    """A's number and B's."""
    return f"{values['A']:,}, {values['B']:,}"


def _yes(answer: bool) -> str:
    return "yes" if answer else "**no**"


def _per_layer(by_length: Mapping[int, Any], column: str) -> float:
    """Growth from the shortest to the longest chain, by layer."""
    first, last = min(by_length), max(by_length)
    grown = by_length[last][column] - by_length[first][column]
    return float(grown) / max(1, last - first)


def _machines(found: Mapping[str, Result]) -> Blocks:
    """What the results were measured on; one line per machine, with the sections it served."""
    by_machine: dict[str, list[str]] = {}
    for name, result in found.items():
        by_machine.setdefault(_machine(result["machine"]), []).append(SECTIONS[name][0])
    if len(by_machine) == 1:
        return (paragraph(f"Measured on {next(iter(by_machine))}."),)
    lines = [f"- {'; '.join(titles)}: {machine}" for machine, titles in by_machine.items()]
    return ("Measured on:", "\n".join(lines))


def _machine(told: Mapping[str, Any]) -> str:
    features = " ".join(told["features"]) or "no vector extensions"
    gpu = told.get("gpu")
    if gpu is not None:
        libraries = ", ".join(f"{name} {gpu[name]}" for name in ("NVRTC", "cuDNN", "cuBLASLt"))
        return (
            f"{gpu['name']} ({gpu['architecture']}, {gpu['multiprocessors']} multiprocessors, "
            f"{gpu['memory_gib']} GiB), {libraries}, a driver for CUDA {gpu['driver_cuda']}; "
            f"{told['processor']}, {count(told['cores'], 'core')}, Python {told['python']}"
        )
    return (
        f"{told['processor']}, {count(told['cores'], 'core')}, {told['memory_gib']} GiB of memory, "
        f"{features}; {told['system']}, Python {told['python']}, "
        f"{told['scheduling']} scheduling"
    )


def _versions(result: Result) -> str:
    versions = result["machine"]["versions"].items()
    return f"Versions: {', '.join(f'{name} {version}' for name, version in versions)}."


def main() -> int:
    """Command line; with --check, status 1 when the page is not what the results give."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    if not parser.parse_args().check:
        write()
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page(RESULTS):
        return 0
    name = PAGE.relative_to(REPOSITORY)
    print(f"{name} is out of date; run: python -m benchmarks.report", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
