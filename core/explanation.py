"""What a build decided and why: lines for people, which also carry their content as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .graph import Network


class Note(str):
    """One line of a build's report, `SUBJECT: TEXT`.

    `subject` is the name of a layer or tensor, or a stage such as "tuning"; `kind` says what
    happened to it in a word or two; `facts` are plain data that JSON can hold, times in seconds.
    """

    subject: str
    kind: str
    text: str
    facts: Mapping[str, Any]

    def __new__(cls, subject: str, kind: str, text: str, **facts: Any) -> Note:
        """A line with its content."""
        note = super().__new__(cls, f"{subject}: {text}")
        note.subject, note.kind, note.text, note.facts = subject, kind, text, facts
        return note

    @classmethod
    def of(cls, line: str) -> Note:
        """Any line of a report."""
        if isinstance(line, Note):
            return line
        subject, _, text = line.partition(": ")
        return cls(subject, "note", text)

    def to_dict(self) -> dict[str, Any]:
        """The content with the keys `subject`, `kind`, `text` and those of the facts."""
        return {"subject": self.subject, "kind": self.kind, "text": self.text, **self.facts}


CHOSEN = "chosen"
CONVERSION = "conversion"
"""Kinds of notes that stand for a layer of the engine."""


@dataclass(frozen=True)
class LayerExplanation:
    """A layer of the engine.

    `decision` says in one line how it runs, and what else was considered. `facts` has `tactic`,
    `kernel`, `seconds` (alone, weights as far away as the network leaves them; None where it was
    not measured), `inputs` and `outputs` (type and format, None for an absent input), and
    `candidates`, the ways that were considered, the fastest first. `fused` names the layers it
    absorbed; `notes` is what else was decided about it.
    """

    name: str
    type: str
    role: str | None
    fused: tuple[str, ...]
    decision: str
    facts: Mapping[str, Any]
    notes: tuple[Note, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "type": self.type,
            "role": self.role,
            "fused": list(self.fused),
            "decision": self.decision,
            **self.facts,
            "notes": [note.to_dict() for note in self.notes],
        }


@dataclass(frozen=True)
class Explanation:
    """A whole build: `layers` of the engine in execution order, `changes` to the graph before
    they were chosen and whatever concerns no layer, and facts of the tuning."""

    layers: tuple[LayerExplanation, ...] = ()
    changes: tuple[Note, ...] = ()
    tuning: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Network, lines: Iterable[str], tuning: Mapping[str, Any]) -> Explanation:
        """Sort a build's notes by the layers that it left."""
        notes = [Note.of(line) for line in lines]
        decided = {n.subject: n for n in notes if n.kind in (CHOSEN, CONVERSION)}
        about: dict[str, list[Note]] = {layer.name: [] for layer in network.layers}
        changes = []
        for note in notes:
            if note.kind in (CHOSEN, CONVERSION) and note.subject in about:
                continue
            named = (note.subject, str(note.facts.get("layer")), *note.facts.get("layers", ()))
            concerned = [name for name in dict.fromkeys(named) if name in about]
            for name in concerned:
                about[name].append(note)
            if not concerned:
                changes.append(note)
        layers = []
        for layer in network.layers:
            decision = decided.get(layer.name, Note(layer.name, CHOSEN, layer.plugin.tactic.name))
            layers.append(
                LayerExplanation(
                    layer.name, layer.plugin.type, layer.plugin.role, tuple(layer.fused),
                    decision.text, decision.facts, tuple(about[layer.name]),
                )
            )
        return cls(tuple(layers), tuple(changes), dict(tuning))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `plugrt build --explain-json` writes it."""
        return {
            "tuning": dict(self.tuning),
            "layers": [layer.to_dict() for layer in self.layers],
            "changes": [note.to_dict() for note in self.changes],
        }
