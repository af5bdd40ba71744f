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
from plugrt.plugins import PlanError, PlugrtError

X = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
LIMIT = 1.0
"""Processor seconds for one plan: others may hold the processors."""


def examine(plan: bytes, registry: Registry) -> PlannedNetwork | None:
    """Load as an engine does. None for a PlanError of one line; other errors pass through."""
    begin = time.process_time()
    try:
        planned, info = read_plan(plan, registry)
        revalidate_tactics(planned, registry, False, info)
    except PlanError as error:
        planned, refusal = None, str(error)
    else:
        refusal = ""
    assert "\n" not in refusal
    assert time.process_time() - begin < LIMIT
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
    begin = time.process_time()
    try:
        planned, info = read_plan(data, registry)
        revalidate_tactics(planned, registry, False, info)
        text = "loaded"
    except PlanError as error:
        text = f"PlanError: {error}"
    found.append([text, time.process_time() - begin])
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
    for text in (b"[" * 100_000, b"[" + b"[]," * 100_000 + b"[]]", b"9" * 100_000):
        plans.append(kit.forge(good, lambda s, t=text: s.__setitem__("graph", t)))
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
