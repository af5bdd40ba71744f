"""Plans with one forged field and right checksums: the refusal names the field."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plugrt.core.engine.plan import read_plan
from plugrt.plugin_registry import Registry
from plugrt.plugins import LayerPlugin, Shape

LIMIT = 1.0
"""Seconds for one plan."""

Path_ = tuple["str | int", ...]

SECTIONS = ("info", "requires", "graph", "tuning")


def put(value: Any, path: Path_, new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


LAYER = ("graph", "networks", 0, "layers", 0)
TUNED = ("tuning", 0, "layers", 0)

FORGERIES: dict[str, tuple[Path_, Any, str]] = {
    "no network": (("graph", "networks"), [], "networks"),
    "unknown member": (("graph", "more"), 1, "graph"),
    "unknown type": (("graph", "networks", 0, "inputs", 0, 1), "float31", "inputs[0]"),
    "negative size": (("graph", "networks", 0, "inputs", 0, 2), [-1, 3], "inputs[0].shape[0]"),
    "huge size": (("graph", "networks", 0, "inputs", 0, 2), [2**48, 3], "elements"),
    "huge rank": (("graph", "networks", 0, "inputs", 0, 2), [1] * 100, "at most 32"),
    "input of a later layer": ((*LAYER, "inputs"), [9, 1], "inputs[0]"),
    "its own output as input": ((*LAYER, "inputs"), [3, 1], "inputs[0]"),
    "missing input": ((*LAYER, "inputs"), [0], "1 inputs"),
    "absent input": ((*LAYER, "inputs"), [None, 1], "takes"),
    "no output": ((*LAYER, "outputs"), [], "0 outputs"),
    "other output shape": ((*LAYER, "outputs", 0, 2), [4096, 4096], "its plug-in says Nx3"),
    "other output type": ((*LAYER, "outputs", 0, 1), "int8", "its plug-in says float32"),
    "known contents": ((*LAYER, "outputs", 0, 4), True, "contents"),
    "plug-in number": ((*LAYER, "plugin"), 99, "number 99"),
    "other plug-in": ((*LAYER, "plugin"), 3, "Test.Positive"),
    "name of another tensor": ((*LAYER, "outputs", 0, 0), "x", "taken"),
    "name of another layer": ((*LAYER, "name"), "right", "distinct names"),
    "body of a layer without": ((*LAYER, "bodies"), {"body": 1}, "bodies.body"),
    "epilogue of no layer": ((*LAYER, "epilogue"), [["e", 1, [["input", 0, None]]]], "inputs"),
    "epilogue input": ((*LAYER, "epilogue"), [["e", 0, [["input", 1, None]]]], "reads x1"),
    "epilogue axis": ((*LAYER, "epilogue"), [["e", 0, [["input", 0, 1]]]], "reads x0@1"),
    "epilogue operator": ((*LAYER, "epilogue"), [["e", 0, [["input", 0, None], ["run", 0]]]],
                          "run"),
    "epilogue order": ((*LAYER, "epilogue"), [["e", 0, [["neg", 1], ["input", 0, None]]]],
                       "epilogue[0]"),
    "empty epilogue": ((*LAYER, "epilogue"), [["e", 0, []]], "epilogue[0]"),
    "deep epilogue": ((*LAYER, "epilogue"),
                      [["e", 0, [["input", 0, None], *(["neg", k] for k in range(900))]]],
                      "nested too deeply"),
    "scale below zero": (("graph", "networks", 0, "inputs", 0, 3), [[-1.0], [0], None], "scale"),
    "scales of no axis": (("graph", "networks", 0, "inputs", 0, 3), [[1, 1, 1], [0], None], "axis"),
    "too few scales": (("graph", "networks", 0, "inputs", 0, 3), [[1, 1], [0], 1], "2 scales"),
    "axis": (("graph", "networks", 0, "inputs", 0, 3), [[1], [0], 7], "from 0 to 1"),
    "constant number": (("graph", "networks", 0, "constants", 0, 1), 5, "from 0 to 0"),
    "constant size": (("graph", "constants", 0, 1), [4000], "size of the section"),
    "constant type": (("graph", "constants", 0), ["bool", [9]], "neither 0 nor 1"),
    "empty huge constant": (("graph", "constants", 0, 1), [0, 2**40, 2**40], "elements"),
    "state length": (("graph", "states", 0, 0), 2**62, "size of the section"),
    "states of no layer": (("graph", "states"), [[], []], "section"),
    "output position": (("graph", "networks", 0, "outputs", 0, 1), 77, "tensors"),
    "input as output": (("graph", "networks", 0, "outputs", 0, 1), 0, "writes for it alone"),
    "an output twice": (("graph", "networks", 0, "outputs"), [["y", 6], ["z", 6]], "alone"),
    "size of no layer": (("graph", "networks", 0, "sizes"), [["N", 2], ["positive.size1", 7]],
                         "calls a size"),
    "size elsewhere": (("graph", "networks", 0, "sizes", 0, 1), 6, "does not name"),
    "size left out": (("graph", "networks", 0, "sizes"), [], "does not name"),
    "unknown format": (("tuning", 0, "formats", 0), "diagonal", "formats[0]"),
    "format of an input": (("tuning", 0, "formats", 0), "channels_last", "format that fits"),
    "too few formats": (("tuning", 0, "formats"), ["linear"], "format"),
    "no lanes": (("tuning", 0, "lanes"), 0, "lanes"),
    "unknown decision": (("tuning", 0, "lane"), 2, "an object with formats, layers"),
    "slice position": ((*TUNED, "slices"), [2], "from 0 to 1"),
    "view position": ((*TUNED, "views"), [1], "from 0 to 0"),
    "in-place position": ((*TUNED, "in_place"), -1, "in_place"),
    "tactic position": ((*TUNED, "tactic", "may_alias"), [7], "may_alias"),
    "tactic name": ((*TUNED, "tactic", "name"), 7, "tactic.name"),
    "accumulation elsewhere": ((*TUNED, "tactic", "accumulates_into"), 1, "accumulates_into"),
    "priority": ((*TUNED, "tactic", "priority"), 2**40, "priority"),
    "kernel": ((*TUNED, "kernel"), 0, "kernels number 0"),
    "threads": (("info", "threads"), 0, "info.threads"),
    "profile": (("info", "profiles", "N"), [3, 2, 1], "least <= best"),
    "profile of no size": (("info", "profiles", "K"), [1, 2, 3], "sizes of the network"),
    "state version": (("requires", 0, "state_version"), 2, "state version 2"),
    "layer version": (("requires", 0, "version"), "2.2", "'2.2'"),
    "plug-in kind": (("requires", 0, "kind"), "parsers", "one of layers, kernels"),
    "namespace": (("requires", 0, "namespace"), "Other", "namespace"),
    "metadata": (("info", "metadata", "class_names"), 3, "info.metadata"),
    "long text": (("info", "precision"), ["x" * 10**6], "info.precision"),
}  # fmt: skip


@pytest.mark.parametrize("case", FORGERIES.values(), ids=FORGERIES)
def test_forged_fields_are_named(
    case: tuple[Path_, Any, str], small_plan: bytes, registry: Registry, kit: Any
) -> None:
    path, value, expected = case
    text = kit.refusal(kit.forge(small_plan, lambda s: put(s, path, value)), registry)
    assert expected in text


TEXTS = {
    "nothing": b"",
    "no JSON": b"\xff\xfe",
    "not ASCII": '{"a": "ä"}'.encode(),
    "infinity": b"[Infinity]",
    "overflow": b"[1e999]",
    "endless number": b"[" + b"9" * 100_000 + b"]",
    "endless nesting": b"[" * 100_000,
    "nesting that closes": b"[" * 50_000 + b"]" * 50_000,
    "objects in objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "lone surrogate": rb'"\ud800"',
    "many values": b"[" + b"[]," * 100_000 + b"[]]",
}


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_hostile_texts_in_place_of_json(
    text: bytes, section: str, small_plan: bytes, registry: Registry, kit: Any
) -> None:
    forged = kit.forge(small_plan, lambda s: s.__setitem__(section, text))
    begin = time.perf_counter()
    kit.refusal(forged, registry)
    assert time.perf_counter() - begin < LIMIT


STATES = {
    "zeros": lambda state: bytes(len(state)),
    "ones": lambda state: b"\xff" * len(state),
    "other attribute": lambda state: state.replace(b"factor", b"faktor"),
    "other type": lambda state: state.replace(b"2.0", b'"2"'),
}


@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_hostile_states_name_the_layer(
    change: Callable[[bytes], bytes], small_plan: bytes, registry: Registry, kit: Any
) -> None:
    forged = kit.forge(small_plan, lambda s: s.__setitem__("states", change(s["states"])))
    assert "'left' (Test.Affine)" in kit.refusal(forged, registry)


def break_deserialize(layer: type[LayerPlugin], state: bytes, version: int) -> LayerPlugin:
    raise KeyError("first line\nsecond line")


def wrong_deserialize(layer: type[LayerPlugin], state: bytes, version: int) -> Any:
    return "no layer"


def endless_shape(self: LayerPlugin, index: int, inputs: Any) -> Shape:
    return self.getOutputDimensions(index, inputs)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"deserialize": classmethod(break_deserialize)}, "KeyError"),
        ({"deserialize": classmethod(wrong_deserialize)}, "must return a layer"),
        ({"getOutputDimensions": lambda self, index, inputs: 1 / 0}, "division"),
        ({"getOutputDimensions": lambda self, index, inputs: ("a",)}, "refuses"),
        ({"getOutputDimensions": endless_shape}, "recursion"),
        ({"getNbOutputs": lambda self: 10**12}, "1000000000000"),
        ({"getOutputDataType": lambda self, index, types: types[7]}, "refuses"),
        ({"getOutputValue": lambda self, index, inputs: np.ones((5, 5))}, None),
        ({"setTactic": lambda self, tactic: 1 / 0}, "setTactic"),
        ({"setEpilogue": lambda self, epilogue: 1 / 0}, "setEpilogue"),
    ],
)
def test_a_plugin_that_fails_is_named(
    members: dict[str, Any], expected: str | None, small_plan: bytes, kit: Any
) -> None:
    registry = kit.local_registry()
    broken = type("Broken", (kit.Affine,), {"type": "Test.Affine", **members})
    registry.register(broken, override=True)
    if expected is None:  # contents of symbolic shapes are not even asked for
        read_plan(small_plan, registry)
        return
    text = kit.refusal(small_plan, registry)
    assert "'left'" in text
    assert expected in text
