"""What a build tells of the way that was chosen for a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from ...plugins import TensorDesc
from ..explanation import CHOSEN, Note
from ..graph import Layer
from ..tuning.candidates import Candidate
from ..tuning.options import TIE, Option

RUNNERS_UP = 3
"""Other candidates that a line names; the data have all."""

Considered = Sequence[tuple[Candidate, "float | None"]]


def chosen_note(layer: Layer, option: Option, considered: Considered) -> Note:
    """The choice and what it was made among, the fastest first."""
    chosen = option.candidate
    ranked = sorted(considered, key=lambda pair: inf if pair[1] is None else pair[1])
    seconds = option.seconds if option.is_measured else None
    text = _text(chosen, seconds)
    others = [pair for pair in ranked if pair[0] != chosen]
    if seconds and any(time is not None and time < seconds * (1 - TIE) for _, time in others):
        text += ", best with the formats around it"
    if others:
        named = ", ".join(_text(*pair) for pair in others[:RUNNERS_UP])
        further = len(others) - RUNNERS_UP
        text += f"; others: {named}" + (f" and {further} more" if further > 0 else "")
    return Note(
        layer.name, CHOSEN, text, **_facts(chosen, seconds),
        candidates=[_facts(*pair) for pair in ranked],
    )  # fmt: skip


def _facts(candidate: Candidate, seconds: float | None) -> Mapping[str, Any]:
    is_possible = seconds is None or seconds < inf
    return {
        "tactic": candidate.tactic.name,
        "kernel": candidate.kernel,
        "seconds": seconds if is_possible else None,
        "runs": is_possible,
        "inputs": [None if d is None else place_text(d) for d in candidate.inputs],
        "outputs": [place_text(d) for d in candidate.outputs],
    }


def _text(candidate: Candidate, seconds: float | None) -> str:
    name = candidate.tactic.name
    if candidate.kernel is not None:
        name = f"{candidate.kernel} {name}"
    activations = [d for d in candidate.inputs if d is not None and not d.is_constant]
    places = [
        ", ".join(dict.fromkeys(map(place_text, descs)))
        for descs in (activations, candidate.outputs)
    ]
    place = places[1] if places[0] in ("", places[1]) else " > ".join(places)
    if seconds is None:
        return f"{name} ({place})"
    if not seconds:
        return f"{name} ({place}) in shared memory"
    return f"{name} ({place}) {f'{seconds * 1e6:.1f} us' if seconds < inf else 'cannot run'}"


def place_text(desc: TensorDesc) -> str:
    """Type and format of a tensor."""
    return f"{desc.dtype.value} {desc.format.value}"
