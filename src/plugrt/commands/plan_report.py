"""A plan's description for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from .plan_description import Description
from .tables import print_heading, print_table
from .units import bytes_text


def print_plan(out: TextIO, plan: Description) -> None:
    """Print the whole description as tables."""
    print_table(out, ("plan", str(plan["file"]["name"])), _facts(plan))
    print(file=out)
    print_heading(out, "Inputs and outputs")
    ports = [
        [kind, port["name"], port["type"], _shape(port["shape"])]
        for kind in ("input", "output")
        for port in plan[f"{kind}s"]
    ]
    print_table(out, ("", "name", "type", "shape"), ports)
    print(file=out)
    at = ", ".join(f"{name}={size}" for name, size in plan["sizes"].items())
    print_heading(out, f"Layers at {at}" if at else "Layers")
    headings = ("", "name", "type", "tactic", "inputs", "outputs", "format", "fused")
    print_table(out, headings, list(_layer_rows(plan["layers"])))
    print(file=out)
    print_heading(out, f"Memory at {at}" if at else "Memory")
    print_table(out, ("", "size"), _memory_rows(plan["memory"]))


def _code(size: int) -> list[list[str]]:
    return [["machine code", f"{bytes_text(size)}, run where the plan is trusted"]] if size else []


def _facts(plan: Description) -> list[list[str]]:
    device = ", ".join(f"{key} {value}" for key, value in plan["device"].items())
    profiles = [
        f"{name} {limits['minimum']}:{limits['optimum']}:{limits['maximum']}"
        for name, limits in plan["profiles"].items()
    ]
    return [
        ["network", plan["name"]],
        ["size", bytes_text(plan["file"]["bytes"])],
        *_code(plan["file"]["code_bytes"]),
        ["precision", plan["precision"]],
        ["threads", str(plan["threads"])],
        ["profiles", ", ".join(profiles) or "none: any size"],
        ["tuned on", device],
        ["plug-ins from", ", ".join(_distributions(plan["requires"])) or "none"],
        *([key, _first_line(value)] for key, value in plan["metadata"].items()),
    ]


def _first_line(text: str) -> str:
    lines = text.splitlines() or [""]
    more = f" and {len(lines) - 1} more lines" if len(lines) > 1 else ""
    return f"{lines[0]}{more}"


def _distributions(requires: Sequence[Mapping[str, Any]]) -> list[str]:
    named = {
        f"{item['distribution']} {item['distribution_version'] or ''}".strip()
        for item in requires
        if item["distribution"]
    }
    return sorted(named)


def _layer_rows(layers: Sequence[Description], prefix: str = "") -> list[list[str]]:
    rows = []
    for layer in layers:
        number = f"{prefix}{layer['position']}"
        tactic = layer["tactic"]
        if layer["kernel"]:
            tactic = f"{layer['kernel']}: {tactic}"
        inputs = [t for t in layer["inputs"] if not t["constant"]]
        rows.append([
            number, layer["name"], layer["type"], tactic, _shapes(inputs),
            _shapes(layer["outputs"]), _formats(inputs, layer["outputs"]),
            ", ".join(layer["fused"]),
        ])  # fmt: skip
        for name, body in layer.get("bodies", {}).items():
            rows += _layer_rows(body, f"{number}.{name}.")
    return rows


def _shapes(tensors: Sequence[Description]) -> str:
    return ", ".join(_shape(tensor["shape"]) for tensor in tensors)


def _shape(shape: Sequence[int | str]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _formats(inputs: Sequence[Description], outputs: Sequence[Description]) -> str:
    """The output's type and format, and the input's before it where they differ."""
    before, after = (
        ", ".join(dict.fromkeys(f"{t['type']} {t['format']}" for t in tensors))
        for tensors in (inputs, outputs)
    )
    return after if before in ("", after) else f"{before} > {after}"


def _memory_rows(memory: Mapping[str, Any]) -> list[list[str]]:
    return [
        ["arena", bytes_text(memory["arena"])],
        ["most bytes alive at once", bytes_text(memory["live_maximum"])],
        ["arena to that", f"{memory['ratio']:.2f}x"],
        ["tensors without sharing", bytes_text(memory["without_sharing"])],
        ["largest workspace, in the arena", bytes_text(memory["workspace"])],
        ["weights in the plan", bytes_text(memory["weights"])],
        ["weights as packed, about", bytes_text(memory["packed_weights"])],
        ["peak beside the process itself, about", bytes_text(memory["peak"])],
    ]
