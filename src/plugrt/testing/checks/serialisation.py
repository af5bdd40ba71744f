"""What a plan keeps of an instance."""

from __future__ import annotations

from typing import Any

import numpy as np

from plugrt.plugins import LayerPlugin, PlanError, PlugrtError

from ..comparison import compare
from ..configurations import has_bodies
from ..execution import execute
from ..outcome import CheckFailure, NotApplicable
from ..subject import Subject

TRUNCATIONS = 16


def round_trip(subject: Subject) -> None:
    """serialize() and deserialize() give an equal instance that computes the same."""
    for case in subject.cases:
        layer = case.layer()
        state = layer.serialize()
        if not isinstance(state, bytes):
            raise CheckFailure(f"{case}: serialize() gives {type(state).__name__}, not bytes")
        if layer.getSerializationSize() != len(state):
            raise CheckFailure(
                f"{case}: getSerializationSize() is {layer.getSerializationSize()}, but "
                f"serialize() gives {len(state)} bytes"
            )
        if layer.serialize() != state:
            raise CheckFailure(f"{case}: serialize() gives other bytes the second time")
        if has_bodies(layer):
            continue  # bodies are kept by the engine file
        loaded = subject.layer_class.deserialize(state, layer.state_version)
        if type(loaded) is not subject.layer_class:
            raise CheckFailure(f"{case}: deserialize() gives a {type(loaded).__name__}")
        _compare_attributes(str(case), layer, loaded)
        if loaded.serialize() != state:
            raise CheckFailure(f"{case}: the loaded instance serialises to other bytes")
    if any(has_bodies(case.layer()) for case in subject.cases):
        return
    for case, configuration in subject.runnable():
        layer = case.layer()
        loaded = subject.layer_class.deserialize(layer.serialize(), layer.state_version)
        actual = execute(loaded, case.inputs, configuration)
        wanted = execute(layer, case.inputs, configuration)
        compare(actual, wanted, f"{case}: loaded and original instance", case.tolerance)


def damaged_state(subject: Subject) -> None:
    """Truncated, altered or newer states are refused by PlanError, never by another error."""
    tried = False
    for case in subject.cases[:1]:
        layer = case.layer()
        state = layer.serialize()
        newer = layer.state_version + 1
        _must_refuse(subject, state, newer, f"state version {newer}")
        for length in sorted({len(state) * k // TRUNCATIONS for k in range(TRUNCATIONS)}):
            _may_refuse(subject, state[:length], f"{length} of {len(state)} bytes")
            damaged = bytearray(state)
            damaged[length:length + 1] = b"\xff"
            _may_refuse(subject, bytes(damaged), f"byte {length} set to 255")
        tried = True
    if not tried:
        raise NotApplicable("there are no cases")


def clones(subject: Subject) -> None:
    """clone() gives another instance with equal attributes."""
    for case in subject.cases:
        layer = case.layer()
        copy = layer.clone()
        if copy is layer or type(copy) is not type(layer):
            raise CheckFailure(f"{case}: clone() gives no new {type(layer).__name__}")
        _compare_attributes(str(case), layer, copy)


def _compare_attributes(where: str, left: LayerPlugin, right: LayerPlugin) -> None:
    for name, value in left.attribute_values.items():
        other = right.attribute_values[name]
        if not _same(value, other):
            raise CheckFailure(f"{where}: attribute {name} is {other!r} instead of {value!r}")


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray):
        return isinstance(right, np.ndarray) and left.dtype == right.dtype and (
            left.tobytes() == right.tobytes() and left.shape == right.shape
        )
    return bool(left == right) and type(left) is type(right)


def _may_refuse(subject: Subject, state: bytes, what: str) -> None:
    try:
        subject.layer_class.deserialize(state, subject.layer_class.state_version)
    except PlanError:
        pass
    except (PlugrtError, Exception) as error:
        raise CheckFailure(
            f"deserialize() of a damaged state ({what}) raises {type(error).__name__} "
            f"({error}); raise PlanError"
        ) from error


def _must_refuse(subject: Subject, state: bytes, version: int, what: str) -> None:
    try:
        subject.layer_class.deserialize(state, version)
    except PlanError:
        return
    except Exception as error:
        raise CheckFailure(
            f"deserialize() of {what} raises {type(error).__name__} ({error}); raise PlanError"
        ) from error
    raise CheckFailure(f"deserialize() accepts {what}; raise PlanError")
