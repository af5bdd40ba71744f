"""A build's explanation for people."""

from __future__ import annotations

from typing import TextIO

from plugrt.core.explanation import Explanation, Note

from .tables import print_heading, print_table

GRAPH = (
    "fused", "not fused", "merged", "absorbed", "removed", "rewritten", "folded", "alternative",
)  # fmt: skip
"""Kinds of notes about the graph's form; a layer's other notes are about how it runs."""


OTHERS = "; others: "
"""Between what was chosen and what else was considered."""


def print_explanation(out: TextIO, explanation: Explanation) -> None:
    """Print first what became of the graph, then how each layer runs, and what was considered."""
    layers = explanation.layers
    told = {id(note): note for layer in layers for note in layer.notes if note.kind in GRAPH}
    graph = [*told.values(), *explanation.changes]
    if graph:
        print_heading(out, "What the build decided about the graph")
        print_table(out, ("name", "decision"), [_row(note) for note in graph])
        print(file=out)
    rows = []
    for layer in layers:
        chosen, separator, others = layer.decision.partition(OTHERS)
        rows.append([layer.name, layer.type, _microseconds(layer.facts), chosen])
        rows += [["", "", "", f"others: {others}"]] if separator else []
        own = {id(note): note for note in layer.notes if note.kind not in GRAPH}
        rows += [["", "", "", str(note)] for note in own.values() if note.subject != layer.name]
        rows += [["", "", "", note.text] for note in own.values() if note.subject == layer.name]
    print_heading(out, "How the layers run; times are of each alone")
    print_table(out, ("layer", "type", "us", "decision"), rows)
    print(file=out)


def _row(note: Note) -> list[str]:
    return [note.subject, note.text]


def _microseconds(facts: object) -> str:
    seconds = facts.get("seconds") if isinstance(facts, dict) else None
    return "" if seconds is None else f"{seconds * 1e6:.1f}"
