"""Execution plans: engines of cuDNN with their knobs, by stable names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ....errors import DeviceError
from ..devices import Context
from .descriptors import (
    ENGINE,
    ENGINE_CONFIG,
    ENGINE_HEURISTIC,
    KNOB_CHOICE,
    PLAN,
    VARIANT_PACK,
    Descriptor,
    made,
)
from .library import CudnnError, Handle, check, ffi, library

# cudnnBackendHeurMode_t: A, B, FALLBACK
HEURISTICS = (3, 1, 2)
MOST_PER_HEURISTIC = 32

TENSOR_CORE, DOWN_CONVERT_INPUTS, REDUCED_PRECISION, NONDETERMINISTIC = 0, 1, 2, 4
"""cudnnBackendNumericalNote_t."""

_NAME = re.compile(r"eng(\d+)((?:_k\d+=-?\d+)*)")
_KNOB = re.compile(r"_k(\d+)=(-?\d+)")


def plan_names(graph: Descriptor, forbidden_notes: frozenset[int]) -> list[str]:
    """Names of all plans that the heuristics propose, the most promising first, without
    engines that carry one of these numerical notes."""
    names: dict[str, None] = {}
    for mode in HEURISTICS:
        try:
            heuristic = made(
                ENGINE_HEURISTIC,
                heuristic_graph=("descriptor", graph),
                heuristic_mode=("heuristic_mode", mode),
            )
            found = heuristic.get_descriptors(
                "heuristic_results", ENGINE_CONFIG, MOST_PER_HEURISTIC
            )
        except CudnnError as error:
            if not error.is_unsupported:
                raise
            continue
        for config in found:
            (engine,) = config.get_descriptors("config_engine", ENGINE, 1)
            notes = engine.get("engine_numerical_notes", "numerical_note", 32)
            if forbidden_notes.isdisjoint(notes):
                names[_name_of(config, engine)] = None
    return list(names)


def _name_of(config: Descriptor, engine: Descriptor) -> str:
    (index,) = engine.get("engine_index", "int64")
    knobs = sorted(
        (knob.get("knob_type", "knob_type")[0], knob.get("knob_value", "int64")[0])
        for knob in config.get_descriptors("config_knobs", KNOB_CHOICE, 64)
    )
    return f"eng{index}" + "".join(f"_k{kind}={value}" for kind, value in knobs)


class ExecutionPlan:
    """An operation graph compiled for one GPU by one engine. Made by `build_plan`."""

    def __init__(
        self, context: Context, descriptor: Descriptor, constants: Mapping[int, float]
    ) -> None:
        self._context = context
        self._descriptor = descriptor
        self._constants = {uid: ffi.new("float *", value) for uid, value in constants.items()}
        self.workspace_bytes = int(descriptor.get("plan_workspace", "int64")[0])

    def execute(self, stream: int, pointers: Mapping[int, int], workspace: int) -> None:
        """Put it on a stream (a CUstream number). `pointers` are device addresses by uid,
        `workspace` that of `workspace_bytes`. Raises DeviceError."""
        given: dict[int, Any] = {
            **pointers,
            **{uid: ffi.cast("uintptr_t", value) for uid, value in self._constants.items()},
        }
        pack = made(
            VARIANT_PACK,
            pack_uids=("int64", *given),
            pack_pointers=("pointer", *given.values()),
            pack_workspace=("pointer", workspace),
        )
        handle = Handle.of(self._context)
        with handle.lock:
            check(
                library().cudnnSetStream(handle.address, ffi.cast("void *", stream)),
                "choosing a stream",
            )
            check(
                library().cudnnBackendExecute(
                    handle.address, self._descriptor.cudnn, pack.cudnn
                ),
                "launching a plan",
            )

    def serialized(self) -> bytes:
        """What `load_plan` reads: valid for one cuDNN version and kind of GPU."""
        return self._descriptor.get_text("plan_json")


def build_plan(
    context: Context, graph: Descriptor, name: str, constants: Mapping[int, float]
) -> ExecutionPlan:
    """Compile the plan of this name. Raises DeviceError when the name is malformed, or this
    cuDNN or GPU does not have it any more."""
    index, knobs = _parsed(name)
    engine = made(ENGINE, engine_graph=("descriptor", graph), engine_index=("int64", index))
    config = Descriptor(ENGINE_CONFIG).set("config_engine", "descriptor", engine)
    choices = [
        made(KNOB_CHOICE, knob_type=("knob_type", kind), knob_value=("int64", value))
        for kind, value in knobs
    ]
    if choices:
        config.set("config_knobs", "descriptor", *choices)
    config.finalize()
    plan = Descriptor(PLAN, context).set("plan_handle", "handle", Handle.of(context).address)
    plan.set("plan_config", "descriptor", config)
    with context.current():
        return ExecutionPlan(context, plan.finalize(), constants)


def load_plan(context: Context, data: bytes, constants: Mapping[int, float]) -> ExecutionPlan:
    """A plan from `serialized`. It contains machine code: only for trusted data. Raises
    DeviceError when it is of another cuDNN or GPU, or damaged."""
    plan = Descriptor(PLAN, context).set("plan_handle", "handle", Handle.of(context).address)
    plan.set_text("plan_json", data)
    with context.current():
        return ExecutionPlan(context, plan.finalize(), constants)


def _parsed(name: str) -> tuple[int, Sequence[tuple[int, int]]]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise DeviceError(f"{name!r} is no plan of cuDNN; names look like 'eng4_k2=10_k27=0'")
    return int(match[1]), [(int(kind), int(value)) for kind, value in _KNOB.findall(match[2])]
