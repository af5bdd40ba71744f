"""Plans that are damaged, or forged with right checksums: PlanError, and nothing else.

A forged plan that is consistent in itself may load; then its memory plan must be sound.
"""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt.core.builder import BuilderConfig, build
from plugrt.core.engine.plan import read_plan, revalidate_tactics
from plugrt.core.graph import Network
from plugrt.core.memory import plan_memory
from plugrt.core.runtime.context import ExecutionContext
from plugrt.core.runtime.planned import PlannedNetwork
from plugrt.core.runtime.weight_store import PackedWeights
from plugrt.plugin_registry import Registry
from plugrt.plugins import LayerPlugin, PlanError, PlugrtError, Shape

X = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
LIMIT = 1.0
"""Seconds for one plan."""


def examine(plan: bytes, registry: Registry) -> PlannedNetwork | None:
    """Load as an engine does. None for a PlanError of one line; other errors pass through."""
    begin = time.perf_counter()
    try:
        planned, info = read_plan(plan, registry)
        revalidate_tactics(planned, registry, False, info)
    except PlanError as error:
        planned, refusal = None, str(error)
    else:
        refusal = ""
    assert "\n" not in refusal
    assert time.perf_counter() - begin < LIMIT
    return planned


def check_memory(planned: PlannedNetwork, batch: int) -> None:
    """All placements lie in the arena, and no two live storages overlap."""
    sizes = dict.fromkeys(planned.network.free_symbols, batch)
    plan = plan_memory(planned.network, sizes, planned.aliasing)
    for placement in plan.placements.values():
        if placement.where == "arena":
            end = placement.offset + placement.desc.nbytes
            assert 0 <= placement.offset <= end <= plan.arena_size
    for k, (first, last, size, offset) in enumerate(plan.lifetimes):
        for other_first, other_last, other_size, other_offset in plan.lifetimes[:k]:
            apart = offset + size <= other_offset or other_offset + other_size <= offset
            assert apart or last < other_first or other_last < first


def examine_all(plans: Iterator[bytes], registry: Registry) -> int:
    """Examine plans, and the memory of those that load; returns how many do."""
    loaded = 0
    for plan in plans:
        planned = examine(plan, registry)
        if planned is not None:
            loaded += 1
            try:
                check_memory(planned, 2)
            except PlugrtError:
                continue  # sizes that cannot be: refused when a context is made
    return loaded


# ---- damage -------------------------------------------------------------------------------


def test_every_flipped_byte_is_noticed(
    small_plan: bytes, registry: Registry, kit: Any
) -> None:
    for position in range(len(small_plan)):
        damaged = bytearray(small_plan)
        damaged[position] ^= 0xFF
        kit.refusal(bytes(damaged), registry)


@pytest.mark.slow
def test_every_other_value_of_every_byte_is_noticed(
    small_plan: bytes, registry: Registry
) -> None:
    for position in range(len(small_plan)):
        damaged = bytearray(small_plan)
        for change in range(1, 256):
            damaged[position] = small_plan[position] ^ change
            with pytest.raises(PlanError):
                read_plan(damaged, registry)


def test_every_truncation_is_noticed(small_plan: bytes, registry: Registry, kit: Any) -> None:
    for length in range(len(small_plan)):
        kit.refusal(small_plan[:length], registry)


# ---- forgery ------------------------------------------------------------------------------


def flipped(plan: bytes, positions: list[int], kit: Any) -> Iterator[bytes]:
    """The plan with one byte of a section changed and all checksums recomputed."""
    choose = random.Random(7)
    for position in positions:
        forged = bytearray(plan)
        forged[position] ^= choose.choice([0x01, 0x10, 0x20, 0x80, 0xFF])
        yield kit.sign(forged)


def contents(plan: bytes) -> list[int]:
    return list(range(64 + 6 * 64, len(plan)))


def test_flipped_bytes_under_right_checksums(
    small_plan: bytes, registry: Registry, kit: Any
) -> None:
    positions = random.Random(1).sample(contents(small_plan), 400)
    assert examine_all(flipped(small_plan, positions, kit), registry) > 0


@pytest.mark.slow
def test_every_flipped_byte_under_right_checksums(
    small_plan: bytes, registry: Registry, kit: Any
) -> None:
    for _ in range(3):
        assert examine_all(flipped(small_plan, contents(small_plan), kit), registry) > 0


Path_ = tuple["str | int", ...]


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The path of every value inside a JSON value."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def at(value: Any, path: Path_) -> Any:
    for key in path:
        value = value[key]
    return value


def put(value: Any, path: Path_, new: Any) -> None:
    at(value, path[:-1])[path[-1]] = copy.deepcopy(new)


SECTIONS = ("info", "requires", "graph", "tuning")

VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 2, 5, 64, 2**31, 2**48, 2**63 - 1, 2**64, 10**19, 1.5, -0.0,
    1e300, "", "x", "N", "float64", "int4", "bool", "linear", "channels_last", "Test.Positive",
    [], {}, [[]], [None], [0, 0], [[1, [["N", 1]]]], [-1, 10**6], {"x": 1},
]  # fmt: skip


def mutate(plan: bytes, kit: Any, draw: Callable[[Any], Any]) -> bytes:
    """A few values of the description replaced, removed, repeated or moved."""

    def change(sections: dict[str, Any]) -> None:
        for _ in range(draw(st.integers(1, 3))):
            document = sections[draw(st.sampled_from(SECTIONS))]
            paths = list(places(document))
            if not paths:
                continue
            path = draw(st.sampled_from(paths))
            kind = draw(st.sampled_from(["replace", "replace", "remove", "repeat", "copy"]))
            if kind == "replace":
                put(document, path, draw(st.sampled_from(VALUES)))
            elif kind == "copy":
                put(document, path, at(document, draw(st.sampled_from(paths))))
            else:
                holder = at(document, path[:-1])
                if kind == "repeat" and isinstance(holder, list):
                    holder.append(holder[int(path[-1])])
                else:
                    del holder[path[-1]]
        if draw(st.integers(0, 3)) == 0:
            sections["states"] = draw(st.binary(max_size=40)) + sections["states"][20:]

    return bytes(kit.forge(plan, change))


@settings(max_examples=400)
@given(data=st.data())
def test_mutated_descriptions(
    data: st.DataObject, small_plan: bytes, registry: Registry, kit: Any
) -> None:
    examine_all(iter([mutate(small_plan, kit, data.draw)]), registry)


@pytest.mark.slow
@settings(max_examples=20_000)
@given(data=st.data())
def test_many_mutated_descriptions(
    data: st.DataObject, small_plan: bytes, registry: Registry, kit: Any
) -> None:
    examine_all(iter([mutate(small_plan, kit, data.draw)]), registry)


@pytest.fixture(scope="module")
def body_plan(kit: Any) -> bytes:
    """A plan with bodies: a condition on a condition."""

    def network(depth: int) -> Network:
        made = Network(f"depth {depth}")
        condition = made.add_input("condition", "bool", [])
        x = made.add_input("x", "float32", ["M", 3])
        if depth:
            bodies = {name: network(depth - 1) for name in ("then_body", "else_body")}
            y = made.add_layer("If", [condition, condition, x], name="if", **bodies).output
        else:
            y = made.add_layer("Add", [x, np.ones(3, np.float32)], name="add").output
        made.mark_output(made.add_layer("Tanh", [y], name="tanh").output, "y")
        return made

    return bytes(kit.plan_of(network(2)))


@settings(max_examples=300)
@given(data=st.data())
def test_mutated_descriptions_of_bodies(
    data: st.DataObject, body_plan: bytes, registry: Registry, kit: Any
) -> None:
    examine_all(iter([mutate(body_plan, kit, data.draw)]), registry)


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
    "size of no layer": (("graph", "networks", 0, "sizes"), [["N", 2], ["positive.size1", 8]],
                         "calls a size"),
    "size elsewhere": (("graph", "networks", 0, "sizes", 0, 1), 6, "does not name"),
    "size left out": (("graph", "networks", 0, "sizes"), [], "does not name"),
    "unknown format": (("tuning", 0, "formats", 0), "diagonal", "formats[0]"),
    "format of an input": (("tuning", 0, "formats", 0), "channels_last", "format that fits"),
    "too few formats": (("tuning", 0, "formats"), ["linear"], "format"),
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


# ---- memory -------------------------------------------------------------------------------


def random_tuning(layer: dict[str, Any], inputs: int, outputs: int, draw: Any) -> None:
    some = lambda count: st.lists(st.integers(0, count - 1), unique=True)  # noqa: E731
    layer["slices"] = draw(some(inputs))
    layer["views"] = draw(some(outputs))
    layer["in_place"] = draw(st.none() | st.integers(0, inputs - 1))
    layer["tactic"]["strided_inputs"] = draw(some(inputs))
    layer["tactic"]["strided_outputs"] = draw(some(outputs))
    layer["tactic"]["may_alias"] = draw(some(inputs))


@settings(max_examples=150)
@given(data=st.data())
def test_hostile_sharing_never_changes_results(
    data: st.DataObject, small_plan: bytes, registry: Registry, kit: Any
) -> None:
    """Decisions to share memory are taken only where plug-ins offer it and data allow it."""

    def change(sections: dict[str, Any]) -> None:
        graph = sections["graph"]["networks"][0]["layers"]
        for described, tuned in zip(graph, sections["tuning"][0]["layers"], strict=True):
            counts = len(described["inputs"]), len(described["outputs"])
            random_tuning(tuned, *counts, data.draw)

    planned = examine(kit.forge(small_plan, change), registry)
    assert planned is not None
    check_memory(planned, 2)
    with ExecutionContext(planned, PackedWeights(), 1) as context:
        result = context.execute({"x": X})
    np.testing.assert_allclose(result["y"], kit.small_reference(X), rtol=1e-6)


IN_A_PROCESS = """
import json, resource, sys, time
from pathlib import Path
from plugrt.core.engine.plan import read_plan, revalidate_tactics
from plugrt.plugin_registry import Registry
from plugrt.plugins import PlanError

registry = Registry.default()
planned, info = read_plan(Path(sys.argv[1]).read_bytes(), registry)
revalidate_tactics(planned, registry, False, info)
status = Path("/proc/self/status").read_text().splitlines()
used = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (used + 100 * 2**20,) * 2)
found = []
for path in sys.argv[2:]:
    data = Path(path).read_bytes()
    begin = time.perf_counter()
    try:
        planned, info = read_plan(data, registry)
        revalidate_tactics(planned, registry, False, info)
        text = "loaded"
    except PlanError as error:
        text = f"PlanError: {error}"
    found.append([text, time.perf_counter() - begin])
print(json.dumps(found))
"""


def test_hostile_plans_take_little_time_and_memory(tmp_path: Path, kit: Any) -> None:
    network = Network("small")
    x = network.add_input("x", "float32", ["N", 3])
    shifted = network.add_layer("Add", [x, np.ones(3, np.float32)], name="add").output
    network.mark_output(network.add_layer("ReLU", [shifted], name="relu").output, "y")
    good = build(network, BuilderConfig(tune="off", threads=1)).to_bytes()
    fields: list[tuple[Path_, Any]] = [
        (("graph", "networks", 0, "inputs", 0, 2), [2**48, 1]),
        (("graph", "networks", 0, "inputs", 0, 2), [2**40, 3]),
        (("graph", "constants", 0, 1), [2**40]),
        (("graph", "states", 0, 0), 2**40),
        (("graph", "networks", 0, "layers"), [{}] * 100_000),
        (("graph", "networks"), [[]] * 100_000),
        (("tuning", 0, "formats"), ["linear"] * 100_000),
        (("requires",), [{}] * 100_000),
        (("info", "notes"), [[]] * 100_000),
    ]
    plans = [good]
    plans += [kit.forge(good, lambda s, p=path, v=value: put(s, p, v)) for path, value in fields]
    plans += [
        kit.forge(good, lambda s, t=text: s.__setitem__("graph", t)) for text in TEXTS.values()
    ]
    paths = []
    for number, plan in enumerate(plans):
        paths.append(tmp_path / f"{number}.plan")
        paths[-1].write_bytes(plan)
    command = [sys.executable, "-c", IN_A_PROCESS, str(paths[0]), *map(str, paths)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    outcomes = json.loads(printed)
    assert outcomes[0][0] == "loaded"
    for (text, seconds), plan in zip(outcomes[1:], plans[1:], strict=True):
        assert text.startswith("PlanError: "), (text, len(plan))
        assert "\n" not in text
        assert seconds < LIMIT
