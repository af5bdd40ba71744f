"""The section of docs/performance.md about plug-ins on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import paragraph, table

HEAD = (
    "net", "precision", "contestant", "its ms", "built-in ms", "ratio", "95 % interval",
    "within 1 %",
)  # fmt: skip
CHECKS = (
    "net", "graph nodes", "arena bytes", "fusions", "outputs bit-equal", "differing",
    "same times asked for", "all in all",
)  # fmt: skip
LIMIT = 0.01
"""How far from 1 the interval of a plug-in's ratio may reach."""


def plugin_tax(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Twins against built-ins, beside the control."""
    times, checks, twins = [], [], []
    for net in result["nets"]:
        median = net["median_ms"]
        for label, contestant in (("twins", "B"), ("control", "A2")):
            ratio = net["latency_ratio"][f"{contestant}/A"]
            within = ratio["low"] >= 1 - LIMIT and ratio["high"] <= 1 + LIMIT
            times.append([
                net["net"], net["precision"], label, f"{median[contestant]:.4f}",
                f"{median['A']:.4f}", f"{ratio['value']:.4f}",
                f"{ratio['low']:.4f} to {ratio['high']:.4f}", _yes(within),
            ])  # fmt: skip
        checks.append([
            net["net"], *(_pair(net[key]) for key in ("graph_nodes", "arena_bytes", "fusions")),
            _yes(net["outputs_bit_equal"]), ", ".join(net["differing"]) or "nothing",
            _yes(net["asked_for_the_same_times"]),
            "**passed**" if net["passed"] else "**failed**",
        ])  # fmt: skip
        uses = ", ".join(f"{name} {uses}" for name, uses in net["twins"].items())
        twins.append(f"- {net['net']}: {uses}")
    return (
        paragraph(
            "The same on the GPU, batch 1, calls with arrays on the GPU timed between two CUDA",
            "events. The net is tuned once; all three engines are built from these times alone,",
            "and the twins' build must ask for the very times that the built-ins' asks for.",
        ),
        table(HEAD, times),
        "Of both plans, built-in and twins:",
        table(CHECKS, checks),
        "Twins in use, with the number of layers in the plan:",
        "\n".join(twins),
    )


def _pair(values: Mapping[str, int]) -> str:
    return f"{values['A']:,}, {values['B']:,}"


def _yes(answer: bool) -> str:
    return "yes" if answer else "**no**"
