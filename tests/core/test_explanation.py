"""What a build tells of its decisions: complete, true, and fit for JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, Network, TimingCache
from plugrt.core.explanation import Note

Build = Callable[..., Engine]
Random = np.random.Generator


def convolution(network: Network, x: Any, filters: int, size: int, name: str) -> Any:
    weights = np.random.default_rng(len(name)).standard_normal(
        (filters, x.shape[1], size, size)
    ).astype(np.float32)
    pad = (size // 2,) * 4
    y = network.add_convolution(x, weights, padding=pad, name=name).output
    return network.add_relu(y, name=f"{name}.relu").output


@pytest.fixture
def inception(network: Network) -> Network:
    """Two branches joined, and what stays by itself."""
    x = network.add_input("x", "float32", [1, 16, 10, 10])
    first = convolution(network, x, 16, 1, "one")
    second = convolution(network, x, 32, 3, "three")
    joined = network.add_concatenation([first, second, x], name="join").output
    folded = network.add_exp(network.add_constant("c", np.zeros(1, np.float32)), name="fold")
    scaled = network.add_multiply(joined, folded.output, name="scale").output
    kept = network.add_sigmoid(scaled, name="kept").output
    network.mark_output(kept, "kept")
    network.mark_output(network.add_tanh(kept, name="alone").output, "alone")
    return network


def note_of(engine: Engine, subject: str, kind: str) -> Note:
    found = [
        note for layer in engine.explanation.layers for note in layer.notes
        if (note.subject, note.kind) == (subject, kind)
    ] + [
        note for note in engine.explanation.changes if (note.subject, note.kind) == (subject, kind)
    ]  # fmt: skip
    assert found, (subject, kind)
    return found[0]


@pytest.mark.parametrize("tune", ["off", "fast", "full"])
def test_every_layer_is_explained(inception: Network, quick_build: Build, tune: str) -> None:
    engine = quick_build(inception, tune=tune)
    explained = {layer.name: layer for layer in engine.explanation.layers}
    layers = engine.planned.network.layers
    assert list(explained) == [layer.name for layer in layers]
    for layer in layers:
        told = explained[layer.name]
        assert (told.type, told.role) == (layer.plugin.type, layer.plugin.role)
        assert list(told.fused) == layer.fused
        if layer.plugin.tactic.accumulates_into is None:
            assert told.facts["tactic"] == layer.plugin.tactic.name
        places = [f"{t.dtype.value} {t.format.value}" for t in layer.outputs]
        assert told.facts["outputs"] == places
        assert told.decision
    times = [c["seconds"] for c in explained["three"].facts["candidates"]]
    assert len(times) > 1
    if tune == "off":
        assert set(times) == {None}
    else:
        measured = [seconds for seconds in times if seconds is not None]
        assert measured == sorted(measured)
        assert explained["three"].facts["seconds"] in measured
        assert " us" in explained["three"].decision
        assert engine.explanation.tuning["measured"] > 0
    assert engine.explanation.tuning["tune"] == tune


def test_changes_of_the_graph(inception: Network, quick_build: Build) -> None:
    engine = quick_build(inception)
    assert note_of(engine, "fold", "folded").text == "computed at build time"
    assert note_of(engine, "one.relu", "fused").facts["layer"] == "one"
    refused = note_of(engine, "alone", "not fused")
    assert "kept is also read by whoever uses the network" in refused.text
    assert all(str(note) in engine.report for note in engine.explanation.changes)


def test_slices(inception: Network, quick_build: Build) -> None:
    engine = quick_build(inception)
    (join,) = (layer for layer in engine.explanation.layers if layer.name == "join")
    told = {note.subject: note for note in join.notes if note.kind in ("slice", "kept dense")}
    assert "comes from outside" in told["x"].text
    aliasing = engine.planned.aliasing
    (layer,) = (layer for layer in engine.planned.network.layers if layer.name == "join")
    for index, tensor in enumerate(layer.inputs):
        assert tensor is not None
        expected = "slice" if index in aliasing[layer].slices else "kept dense"
        assert told[tensor.name].kind == expected


class Times(dict[str, float]):
    """Convolutions are quick in channels-last only; all else takes two microseconds."""

    def get(self, key: str, default: Any = None) -> float:
        if not key.startswith("Convolution/"):
            return 2e-6
        is_last = key.partition(" -> ")[0].count("channels_last") == 1
        return 1e-5 if is_last and "channels_last" in key.partition(" -> ")[2] else 1e-2


def test_conversions(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", [1, 32, 40, 40])
    network.mark_output(convolution(network, x, 32, 3, "conv"), "y")
    known = TimingCache()
    known.seconds = Times({"": 0.0})
    first, conv, last = quick_build(network, timing_cache=known).explanation.layers
    assert first.role == last.role == "reformat"
    text = "reformats x from float32 linear to float32 channels_last, 2.0 us"
    assert first.decision == text
    assert (first.facts["inputs"], first.facts["outputs"]) == (
        ["float32 linear"], ["float32 channels_last"],
    )  # fmt: skip
    assert conv.facts["seconds"] == 1e-5


def test_it_is_plain_data(inception: Network, quick_build: Build) -> None:
    engine = quick_build(inception, tune="fast", precision="bf16", timing_cache=TimingCache())
    plain = engine.explanation.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    with Engine.from_bytes(engine.to_bytes()) as loaded:
        assert loaded.explanation.to_dict() == {"tuning": {}, "layers": [], "changes": []}


def test_a_note_is_a_line() -> None:
    note = Note("conv", "fused", "fused into it", layer="other")
    assert note == "conv: fused into it"
    assert Note.of(note) is note
    assert Note.of("a: b: c").to_dict() == {"subject": "a", "kind": "note", "text": "b: c"}


def test_rewrites_say_what_became_of_each_layer(
    network: Network, rng: Random, quick_build: Build
) -> None:
    x = network.add_input("x", "float32", [1, 6, 6, 4])
    y = network.add_transpose(x, permutation=(0, 3, 1, 2), name="first").output
    y = network.add_pad(y, padding=(0, 0, 1, 1, 0, 0, 1, 1), name="border").output
    weights = rng.standard_normal((8, 4, 3, 3)).astype(np.float32)
    y = network.add_convolution(y, weights, name="conv").output
    y = network.add_scale(y, np.ones(8, np.float32), shifted=False, name="scale").output
    y = network.add_transpose(y, permutation=(0, 2, 3, 1), name="last").output
    y = network.add_relu(y, name="relu").output
    y = network.add_transpose(y, permutation=(0, 3, 1, 2), name="back").output
    network.mark_output(network.add_sum([y, y], name="twice").output)
    engine = quick_build(network)
    told = {
        (name, kind): note_of(engine, name, kind)
        for name, kind in (
            ("border", "absorbed"), ("scale", "absorbed"), ("relu", "fused"),
            ("twice", "rewritten"),
        )
    }  # fmt: skip
    assert told["border", "absorbed"].text == "Pad, taken over by conv"
    assert told["scale", "absorbed"].text == "Scale, taken over by conv"
    assert told["twice", "rewritten"].text == "Sum, turned into Add"
    (conv,) = (layer for layer in engine.explanation.layers if layer.name == "conv")
    assert {note.subject for note in conv.notes} >= {"border", "scale", "relu"}
    transposes = [n for n in engine.explanation.changes if n.subject in ("last", "back")]
    assert transposes, engine.report
    json.dumps(engine.explanation.to_dict())


def test_memory_that_is_shared_costs_nothing(
    network: Network, rng: Random, quick_build: Build
) -> None:
    """A transpose to channels-last is a format, and a concatenation that is written in place is
    not counted."""
    x = network.add_input("x", "float32", [1, 12, 12, 16])
    y = network.add_transpose(x, permutation=(0, 3, 1, 2), name="first").output
    parts = [convolution(network, y, 16, size, f"conv{size}") for size in (1, 3)]
    y = network.add_concatenation(parts, name="join").output
    network.mark_output(convolution(network, y, 16, 3, "y"), "y")
    known = TimingCache()
    known.seconds = Times({"": 0.0})
    engine = quick_build(network, timing_cache=known)
    explained = {layer.name: layer for layer in engine.explanation.layers}
    assert explained["first"].decision.startswith("move (float32 linear > float32 channels_last)")
    assert "in shared memory" in explained["first"].decision
    assert all(layer.role is None or layer.name.startswith("y") for layer in explained.values())
    free = [c for c in explained["join"].facts["candidates"] if c["seconds"] == 0]
    assert {c["outputs"][0].split()[1] for c in free} == {"linear", "channels_blocked_16"}
