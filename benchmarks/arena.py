"""Arena size against the most bytes alive at once, computed from the list of layers alone.

    plugrt inspect model.plan --json > model.json
    python -m benchmarks.arena model.json

It shares no code with the planner: a tensor lives from the layer that writes it to the last one
that reads it (to the end where it is an output); the live bytes at a layer are the union of the
ranges of its tensors, and the layer's workspace.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


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


def main() -> int:
    """Command line; status 1 when an arena is larger than 1.15 times what is alive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="output of plugrt inspect --json")
    status = 0
    for file in parser.parse_args().files:
        plan = json.loads(file.read_text(encoding="utf-8"))
        alive, arena = live_maximum(plan), plan["memory"]["arena"]
        ratio = arena / alive if alive else 1.0
        print(f"{file.name}: arena {arena:,} bytes, alive at most {alive:,}: {ratio:.3f}")
        status |= ratio > 1.15
    return status


if __name__ == "__main__":
    sys.exit(main())
