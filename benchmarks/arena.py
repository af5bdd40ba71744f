"""Arena size against the most bytes alive at once, computed from the list of layers alone.

    plugrt inspect model.plan --json > model.json
    python -m benchmarks.arena model.json
    python -m benchmarks.arena --json FILE      # of the benchmark nets, which are built first

It shares no code with the planner: a tensor lives from the layer that writes it to the last one
that reads it (to the end where it is an output); the live bytes at a layer are the union of the
ranges of its tensors, and the layer's workspace.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LIMIT = 1.15
"""The largest arena allowed, as a multiple of what is alive."""


def live_maximum(plan: dict[str, Any]) -> int:
    """The most bytes alive at once in a plan as `plugrt inspect --json` prints it."""
    ranges: dict[str, tuple[int, int]] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for position, layer in enumerate(plan["layers"]):
        for tensor in (*layer["inputs"], *layer["outputs"]):
            if tensor is None or tensor.get("memory", {}).get("where") != "arena":
                continue
            name, memory = tensor["name"], tensor["memory"]
            ranges[name] = (memory["offset"], memory["offset"] + memory["bytes"])
            first.setdefault(name, position)
            last[name] = position
    most = 0
    for position, layer in enumerate(plan["layers"]):
        alive = sorted(ranges[n] for n in ranges if first[n] <= position <= last[n])
        covered, end = 0, 0
        for start, stop in alive:
            covered += max(0, stop - max(start, end))
            end = max(end, stop)
        most = max(most, covered + layer.get("workspace", 0))
    return most


def inspect_net(name: str, threads: int) -> dict[str, Any]:
    """What `plugrt inspect --json` prints of a benchmark net, batch 1."""
    import plugrt
    from benchmarks.nets import NETS
    from benchmarks.nets.to_plugrt import to_plugrt

    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, f"{name}.plan")
        config = plugrt.BuilderConfig(threads=threads)
        with plugrt.build(to_plugrt(NETS[name](), 1), config) as engine:
            engine.save(plan)
        command = [sys.executable, "-m", "plugrt", "inspect", str(plan), "--json"]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return dict(json.loads(printed))


def measure(threads: int) -> dict[str, Any]:
    """Arena and live bytes of every benchmark net."""
    from benchmarks.machine import describe
    from benchmarks.nets import NETS

    nets = []
    for name in sorted(NETS):
        plan = inspect_net(name, threads)
        alive, arena = live_maximum(plan), plan["memory"]["arena"]
        nets.append(
            {
                "net": name,
                "batch": 1,
                "threads": threads,
                "arena_bytes": arena,
                "live_maximum_bytes": alive,
                "ratio": ratio(arena, alive),
            }
        )
    return {"machine": describe("onednn-cpu-gomp"), "nets": nets}


def ratio(arena: int, alive: int) -> float:
    """How much larger the arena is than what is alive at once."""
    return round(arena / alive, 4) if alive else 1.0


def main() -> int:
    """Command line; status 1 when an arena is larger than 1.15 times what is alive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="output of plugrt inspect --json")
    parser.add_argument("--json", type=Path, help="build the benchmark nets, write results here")
    parser.add_argument("--threads", type=int, default=2, help="of the benchmark nets")
    options = parser.parse_args()
    if bool(options.files) == bool(options.json):
        parser.error("give files to read, or --json FILE to write")
    found = []
    for file in options.files:
        plan = json.loads(file.read_text(encoding="utf-8"))
        found.append((file.name, plan["memory"]["arena"], live_maximum(plan)))
    if options.json:
        result = measure(options.threads)
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        found = [(n["net"], n["arena_bytes"], n["live_maximum_bytes"]) for n in result["nets"]]
    for name, arena, alive in found:
        print(f"{name}: arena {arena:,} bytes, alive at most {alive:,}: {ratio(arena, alive):.3f}")
    return int(any(ratio(arena, alive) > LIMIT for _, arena, alive in found))


if __name__ == "__main__":
    sys.exit(main())
