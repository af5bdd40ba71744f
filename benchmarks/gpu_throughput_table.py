"""The section of docs/performance.md about many requests on a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.markdown import paragraph, table

Result = Mapping[str, Any]
Blocks = tuple[str, ...]

NAMES = {
    "plugrt": "plugrt", "torchscript_graph": "TorchScript, CUDA graph",
    "torch_compile": "torch.compile",
}  # fmt: skip

PLACES = {
    "gpu": "float32, on the GPU", "uint8": "uint8, NumPy", "float16": "float16, NumPy",
    "float32": "float32, NumPy", "pinned": "float32, pinned",
}  # fmt: skip


def throughput(result: Result) -> Blocks:
    """Everything that was measured."""
    blocks: list[str] = []
    for part, describe in (
        ("bound", _bound), ("contexts", _contexts), ("gpus", _gpus), ("chunks", _chunks),
        ("share", _share),
    ):  # fmt: skip
        if part in result:
            blocks += describe(result[part])
    return tuple(blocks)


def _bound(found: Result) -> Blocks:
    best: Sequence[Mapping[str, Any]] = found["best"]
    rates = {(row["source"], row["engine"]): row["images_per_second"] for row in best}
    rows = []
    for row in best:
        peers = [rate for (source, engine), rate in rates.items()
                 if source == row["source"] and engine != "plugrt"]  # fmt: skip
        ratio = ""
        if row["engine"] == "plugrt" and peers:
            ratio = f"**{row['images_per_second'] / max(peers):.2f}**"
        rows.append([
            PLACES[row["source"]], NAMES[row["engine"]], f"{row['images_per_second']:,.0f}",
            ratio, row["batch"], row["contexts"], row["in_flight"], f"{row['median_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
        ])  # fmt: skip
    head = ("images", "engine", "per second", "plugrt / best peer", "batch", "contexts",
            "under way", "median ms", "99 % ms")  # fmt: skip
    return (
        paragraph(
            f"{found['net']}, {found['precision']}: the most images per second with 99 % of the",
            f"requests answered within {found['bound_ms']:g} ms, scores on the host. A request is",
            "a batch; so many are under way at any time. Batch, contexts and requests under way",
            "are the best of those tried for each engine; the results file has every one. torch",
            "gets its inputs through two pinned buffers and a copy stream of its own.",
        ),
        table(head, rows),
    )


def _contexts(found: Result) -> Blocks:
    memory = found["memory"]
    rows = [
        [count, f"{rate:,.0f}", f"{rate / found['calls_per_second']['1']:.2f}"]
        for count, rate in found["calls_per_second"].items()
    ]
    whole = sum(one["device_mib"] for one in memory)
    return (
        paragraph(
            f"Contexts at once, each in a thread, arrays of the host, {found['net']} in",
            f"{found['precision']}, batch {found['batch']}: a context's buffers take",
            f"{memory[-1]['buffers_mib']} MiB of the GPU ({memory[-1]['arena_mib']} of it for",
            f"activations), beside {found['weights_mib']:.0f} MiB of weights, which are shared;",
            f"for all {len(memory)} the driver gave {whole:.0f} MiB, graphs with them, beyond what",
            "plugrt had reserved before. Results are",
            "bit-equal." if found["bits_equal"] else "**not bit-equal**.",
        ),
        table(("contexts", "calls per second", "by one context's"), rows),
    )


def _gpus(found: Result) -> Blocks:
    rates = found["images_per_second"]
    rows = [[count, f"{rate:,.0f}", f"{rate / rates['1']:.2f}"] for count, rate in rates.items()]
    return (
        paragraph(
            f"One pool on several GPUs (`ThroughputPool.load`), {found['net']} in",
            f"{found['precision']}, batches of {found['batch']} pictures in {found['dtype']},",
            f"NumPy arrays, as many calls under way as the pool takes, {found['cores']} cores:",
        ),
        table(("GPUs", "images per second", "by one GPU's"), rows),
    )


def _chunks(found: Result) -> Blocks:
    rows = [
        [name, f"{found[key]:.3f}", f"{found[queue]:.3f}" if queue else ""]
        for name, key, queue in (
            ("NumPy array, copied by one thread, then transferred", "one_copy", "queue_one_copy"),
            ("NumPy array, in chunks", "chunks", "queue_chunks"),
            ("pinned array", "pinned", "queue_pinned"),
            ("array on the GPU", "on_gpu", None),
        )
    ]
    return (
        paragraph(
            f"An input of {found['input_mib']} MiB (batch {found['batch']}), milliseconds of a",
            "call, and of each of many calls in `enqueue`, where copies run beside the",
            "computation:",
        ),
        table(("input", "one call", "in the queue"), rows),
    )


def _share(found: Result) -> Blocks:
    return (
        paragraph(
            f"Python's share of a call ({found['net']}, arrays of the host): {found['python']} µs;",
            f"the host takes {found['host_before']} µs before the GPU works and",
            f"{found['host_after']} µs after, {found['driver']} of both in the driver, for one",
            "launch and one event. A call with arrays that stay on the GPU takes",
            f"{found['host_share_with_gpu_arrays']} µs of the host, the driver included.",
        ),
    )
