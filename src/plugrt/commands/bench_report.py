"""The results of `plugrt bench` for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from plugrt.plugins import format_shape

from .tables import print_table
from .units import bytes_text, milliseconds_text, ratio_text

Result = Mapping[str, Any]


def print_bench(out: TextIO, result: Result) -> None:
    """Print one table; of a model with columns for it as optimised and as it is."""
    plain = result.get("unoptimised")
    inputs = [f"{name} {format_shape(shape)}" for name, shape in result["inputs"].items()]
    rows = [["inputs", ", ".join(inputs)], *_rows(result)]
    headings = ["bench", str(result["file"])]
    if plain is not None:
        headings += ["unoptimised", "gain"]
        beside = dict(_rows(plain))
        gains = {
            "latency, median": plain["latency"]["median"] / result["latency"]["median"],
            "throughput": result["throughput"] / plain["throughput"],
        }
        rows = [
            [*row, beside.get(row[0], ""), f"{gains[row[0]]:.2f}x" if row[0] in gains else ""]
            for row in rows
        ]
    pool = result.get("throughput_mode")
    blank = [""] * (len(headings) - 2)
    if pool is not None:
        gain = pool["throughput"] / result["throughput"]
        text = (
            f"{pool['throughput']:.1f} items/s, {pool['contexts']} contexts of {pool['threads']} "
            f"thread, {gain:.2f}x"
        )
        rows.append(["throughput mode", text, *blank])
    peak = bytes_text(result["memory"]["process_peak"])
    rows.append(["process at its peak, all of this", peak, *blank])
    print_table(out, headings, rows)


def _rows(result: Result) -> list[list[str]]:
    latency, memory = result["latency"], result["memory"]
    return [
        ["precision", result["precision"]],
        ["threads", str(result["threads"])],
        ["runs", f"{latency['runs']} in {latency['seconds']:.1f} s"],
        ["latency, median", milliseconds_text(latency["median"])],
        ["latency, 10 % to 90 %",
         f"{milliseconds_text(latency['p10'])} to {milliseconds_text(latency['p90'])}"],
        ["throughput", f"{result['throughput']:.1f} items/s"],
        ["arena", f"{bytes_text(memory['arena'])}, "
         f"{ratio_text(memory['arena'], memory['live_maximum'])} of the most bytes alive at once"],
        ["weights",
         f"{bytes_text(memory['weights'])}, packed {bytes_text(memory['packed_weights'])}"],
    ]  # fmt: skip
