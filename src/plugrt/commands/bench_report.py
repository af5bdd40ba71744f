"""The results of `plugrt bench` for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from plugrt.plugins import format_shape

from .tables import print_table
from .units import bytes_text, milliseconds_text

Result = Mapping[str, Any]

PEAK = "peak of a process that runs it"


def print_bench(out: TextIO, result: Result) -> None:
    """Print one table; of a model with columns for it as optimised and as it is."""
    plain = result.get("unoptimised")
    pool = result.get("throughput_mode")
    rows = _rows(result)
    if pool is not None:
        rows.append(_pool_row(pool, result))
    if plain is None:
        print_table(out, ["", "measured"], rows, _title(result))
        return
    beside, gains = dict(_rows(plain)), _gains(result, plain)
    table = [[*row, beside.get(row[0], ""), gains.get(row[0], "")] for row in rows]
    print_table(out, ["", "optimised", "unoptimised", "gain"], table, _title(result))
    out.write("unoptimised: float32, nothing fused, nothing tuned\n")


def _title(result: Result) -> str:
    inputs = (f"{name} {format_shape(shape)}" for name, shape in result["inputs"].items())
    return f"{result['file']}, {', '.join(inputs)}"


def _gains(result: Result, plain: Result) -> dict[str, str]:
    """How many times better the optimised network is, by row."""
    gains = {
        "latency, median": plain["latency"]["median"] / result["latency"]["median"],
        "throughput": result["throughput"] / plain["throughput"],
    }
    peak, plain_peak = (found["memory"]["peak_of_running"] for found in (result, plain))
    if peak and plain_peak:
        gains[PEAK] = plain_peak / peak
    return {name: f"{gain:.2f}x" for name, gain in gains.items()}


def _pool_row(pool: Result, result: Result) -> list[str]:
    gain = pool["throughput"] / result["throughput"]
    contexts = f"{pool['contexts']} context{'s' if pool['contexts'] > 1 else ''}"
    return [
        "throughput, contexts side by side",
        f"{pool['throughput']:.1f} items/s, {contexts} of {pool['threads']} thread, {gain:.2f}x "
        "of one context's",
    ]


def _rows(result: Result) -> list[list[str]]:
    latency, memory = result["latency"], result["memory"]
    peak = memory["peak_of_running"]
    return [
        ["precision", result["precision"]],
        ["threads", str(result["threads"])],
        ["calls", f"{latency['runs']} in {latency['seconds']:.1f} s"],
        ["latency, median", milliseconds_text(latency["median"])],
        ["latency, 10 % to 90 %",
         f"{milliseconds_text(latency['p10'])} to {milliseconds_text(latency['p90'])}"],
        ["throughput", f"{result['throughput']:.1f} items/s"],
        ["arena", bytes_text(memory["arena"])],
        ["weights in the plan", bytes_text(memory["weights"])],
        ["weights packed for this machine", bytes_text(memory["packed_weights"])],
        [PEAK, "not known" if peak is None else bytes_text(peak)],
    ]  # fmt: skip
