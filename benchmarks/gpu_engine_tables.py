"""The sections of docs/performance.md about builds, lanes and detection on the GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import paragraph, table

Result = Mapping[str, Any]
Blocks = tuple[str, ...]

AROUND_LIMIT = 0.15

TIMES = {
    "cold": "tuned from nothing", "from_cache": "from the cache", "load": "load",
    "first_result": "first result", "trusted_load": "trusted, no kernels: load",
    "trusted_first_result": "first result", "bare_load": "no kernels: load",
    "bare_first_result": "first result",
}  # fmt: skip


def detection(result: Result) -> Blocks:
    """From a frame's bytes to boxes."""
    rows = [
        [
            net["net"], " x ".join(map(str, net["frame"][1:3])), f"{net['network_ms']:.4f}",
            f"{net['end_to_end_on_gpu_ms']:.4f}", f"{net['end_to_end_ms']:.4f}",
            f"{net['around_network']:.1%}", _yes(net["around_network"] <= AROUND_LIMIT),
            net["candidates"], net["boxes"], net["graph_launches"], net["nodes"],
            f"{net['call_ms']:.4f}", f"{net['host_us']:.1f}",
        ]
        for net in result["nets"]
    ]  # fmt: skip
    head = ("net", "frame", "network ms", "with both ends, on the GPU", "boxes on the host",
            "around the network", f"at most {AROUND_LIMIT:.0%}", "candidates", "boxes",
            "graph launches", "nodes", "whole call ms", "Python µs")  # fmt: skip
    return (
        paragraph(
            "One graph from a frame's bytes on the GPU to the boxes: pictures are prepared, the",
            "network runs, heads are decoded and overlaps suppressed, and the boxes are copied to",
            "the host. The network alone begins with a float picture and ends with raw heads, both",
            "on the GPU. Weights are random, the heads' such that as many candidates as in a busy",
            "street reach the suppression. Python's share is a call's time without the graph's;",
            f"for an empty network it is {result['empty_call']['host_us']:.1f} µs.",
        ),
        table(head, rows),
    )  # fmt: skip


def preparation(result: Result) -> Blocks:
    """Builds and loads."""
    rows = [
        [cell["net"], cell["batch"], cell["candidates_timed"],
         *(f"{cell[key]:.2f}" if key in cell else "" for key in TIMES), cell["plan_megabytes"]]
        for cell in result["cells"]
    ]  # fmt: skip
    return (
        paragraph(
            "Seconds in processes of their own, from where the GPU is initialised, float16.",
            "A trusted plan brings its kernels' code; without it, and with an empty cache of",
            "kernels, they are made anew by as many processes as there are processors.",
        ),
        table(("net", "batch", "candidates timed", *TIMES.values(), "plan MB"), rows),
    )


def lanes(result: Result) -> Blocks:
    """Layers beside each other."""
    rows = [
        [row["net"], row["batch"], row["lanes"], f"{row['median_ms']:.4f}",
         "chosen" if row["lanes"] == row["chosen"] else "", row["nodes"], row["edges"],
         row["arena_mib"], "by rules" if row.get("tune") == "off" else "measured"]
        for row in result["rows"]
    ]  # fmt: skip
    head = ("net", "batch", "lanes", "ms", "the tuner's choice", "nodes", "edges", "arena MiB",
            "tactics")
    return (
        paragraph(
            "Layers that do not wait for each other run on lanes beside each other, inside the one",
            "graph; the tuner times the whole network with each number of lanes. float16, input",
            "and outputs on the GPU.",
        ),
        table(head, rows),
    )


def _yes(answer: bool) -> str:
    return "yes" if answer else "**no**"
