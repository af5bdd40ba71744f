"""The sections of docs/performance.md about the GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.markdown import paragraph, table

Result = Mapping[str, Any]
Blocks = tuple[str, ...]

OURS = "plugrt"
PEERS = {
    "torch_eager": "eager", "torch_graph": "eager, CUDA graph",
    "torchscript_graph": "TorchScript, CUDA graph", "torch_compile": "torch.compile",
}  # fmt: skip
GOAL = 0.85
"""Of the best peer's time."""

SLOWEST = 8
"""Layers of a cell in the table."""


def latency(result: Result) -> Blocks:
    """Cell by cell."""
    rows = []
    for cell in result["cells"]:
        times, ratios = cell["median_ms"], cell["peer_by_ours"]
        best = min(ratios, key=lambda name: float(ratios[name]["value"]))
        found = ratios[best]
        rows.append([
            cell["net"], cell["batch"], f"**{times[OURS]:.4f}**",
            *(f"{times[p]:.3f}" if p in times else "" for p in PEERS),
            f"{1 / found['value']:.3f}", f"{1 / found['high']:.3f} to {1 / found['low']:.3f}",
            "yes" if 1 / found["low"] <= GOAL else "**no**",
            f"{cell['relative_error'][OURS]:.1e}", f"{cell['relative_error'][best]:.1e}",
        ])  # fmt: skip
    head = ("net", "batch", "plugrt ms", *(f"{name} ms" for name in PEERS.values()),
            "plugrt / best peer", "95 % interval", f"at most {GOAL}", "error",
            "error of that peer")  # fmt: skip
    precisions = ", ".join(sorted({cell["precision"] for cell in result["cells"]}))
    return (
        paragraph(
            f"{precisions}; medians of the GPU's own time of an inference, between two events,",
            "inferences without a gap between them. plugrt finds its input on the GPU in float32",
            "and the order of arrays, gives its results likewise, and the conversions are in its",
            "time; torch has everything channels last in the narrow type, its fastest",
            "(`cudnn.benchmark` on, batch normalisation folded except in the eager ways,",
            "torch.compile with frozen weights and `reduce-overhead`). Every engine has a process",
            "of its own; they take turns. The error is the norm of the difference to torch in",
            "float32 by its norm, for the worst output.",
        ),
        table(head, rows),
        *_memory(result["cells"]),
    )


def _memory(cells: Sequence[Mapping[str, Any]]) -> Blocks:
    """What the driver counts for each process, where it was asked."""
    rows = []
    for cell in cells:
        found = cell.get("gpu_memory_mib", {})
        if found.get(OURS) is not None:
            rows.append([cell["net"], cell["batch"], f"**{found[OURS]}**",
                         *(found.get(peer) or "" for peer in PEERS)])  # fmt: skip
    if not rows:
        return ()
    return (
        paragraph(
            "MiB of the GPU's memory in each of these processes while it is measured: the driver's",
            "own share (some 500 MiB), code of libraries, weights, activations and what the engine",
            "keeps for later.",
        ),
        table(("net", "batch", "plugrt MiB", *(f"{name} MiB" for name in PEERS.values())), rows),
    )


def layers(result: Result) -> Blocks:
    """Sums and the slowest layers of each cell."""
    ceilings = result["ceilings"]
    sums, slowest = [], []
    for cell in result["cells"]:
        rows: Sequence[Mapping[str, Any]] = cell["layers"]
        total, floor = (sum(row[key] for row in rows) for key in ("microseconds", "floor"))
        near = sum(row["floor"] >= row["microseconds"] / 2 for row in rows)
        sums.append([cell["net"], cell["batch"], len(rows), f"{total:.0f}", f"{floor:.0f}",
                     f"{floor / total:.0%}", near])  # fmt: skip
        for row in sorted(rows, key=lambda row: row["floor"] - row["microseconds"])[:SLOWEST]:
            slowest.append([
                cell["net"], cell["batch"], row["layer"], row["type"],
                row["tactic"].replace("|", " "), " x ".join(map(str, row["output"])),
                f"{row['microseconds']:.1f}", f"{row['floor']:.1f}",
                f"{row['floor'] / row['microseconds']:.0%}",
            ])  # fmt: skip
    return (
        paragraph(
            "A layer's floor is the larger of two times: its operations at",
            f"{ceilings['fp16_tflops']:g} TFLOP/s, which a large float16 product reaches, and its",
            "bytes (inputs and weights read once, outputs written once) at",
            f"{ceilings['copy_gb_per_second']:g} GB/s, which a large copy reaches. At batch 1 what",
            "is read mostly lies in the second-level cache, and a launch takes a microsecond or",
            "two, so floors are far there. Microseconds, with events between the layers, which",
            "add about one to each.",
        ),
        table(("net", "batch", "layers", "sum", "floors", "reached", "layers at half or more"),
              sums),
        f"The {SLOWEST} layers of each that are farthest above their floors:",
        table(("net", "batch", "layer", "type", "tactic", "output", "µs", "floor", "reached"),
              slowest),
    )  # fmt: skip
