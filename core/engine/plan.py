"""Engine files ("plans"): a planned network to bytes, and back without trust.

The sections are described in docs/engine-format.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from mmap import mmap
from typing import Union

from ...plugin_registry import Registry
from ...plugins import PlanError
from ..runtime.planned import PlannedNetwork
from .code_codec import decode_code, encode_code
from .constants import read_constants
from .container import Chunks, content_digest, read_container, write_container
from .info import EngineInfo, decode_info, encode_info
from .late_checks import ChecksDone, LateChecks
from .network_writer import PlanWriter
from .plain import decode, encode, record, refuse
from .plan_reader import PlanReader
from .plugin_state import split_states
from .requirements import Installed, Requirement, decode_requirements, encode_requirement
from .tactics_check import revalidate_tactics

INFO, REQUIREMENTS, GRAPH, TUNING, STATES, CONSTANTS = SECTIONS = (
    "info", "requires", "graph", "tuning", "states", "constants",
)  # fmt: skip
CODE_TABLE, CODE = CODE_SECTIONS = "compiled", "code"
"""Sections that are there where the device has machine code to keep."""

PlanData = Union[bytes, bytearray, memoryview, mmap]  # noqa: UP007 - Python 3.10


def write_plan(
    planned: PlannedNetwork, info: EngineInfo, code: Mapping[str, bytes] | None = None
) -> bytes:
    """The plan file of an engine; the same bytes for the same content. `code` is what the device
    had compiled, by its own keys.

    Raises PlanError for a network that plans cannot hold, PluginError naming a layer whose
    state cannot be serialised.
    """
    writer = PlanWriter(planned.network.registry)
    writer.add(planned)
    states = [state for network in writer.states for state in network]
    graph = {
        "networks": writer.graphs,
        "states": [[len(state) for state in network] for network in writer.states],
        "constants": writer.constants.table,
    }
    sections: dict[str, Chunks] = {
        INFO: [encode(encode_info(info))],
        REQUIREMENTS: [encode([encode_requirement(r) for r in writer.requirements])],
        GRAPH: [encode(graph)],
        TUNING: [encode(writer.tuning)],
        STATES: states,
        CONSTANTS: writer.constants.chunks,
    }
    if code:
        sections[CODE_TABLE] = [encode(encode_code(code))]
        sections[CODE] = [payload for _, payload in sorted(code.items())]
    return write_container(sections)


def read_plan(
    data: PlanData, registry: Registry | None = None, checks: LateChecks | None = None
) -> tuple[PlannedNetwork, EngineInfo]:
    """The engine in a plan. Constants are read-only views of `data`. With `checks` they are still
    being checked until these have been waited for.

    Imports only the plug-ins that the plan names. Raises PlanError for a damaged, hostile or
    newer plan, and for a plug-in that is not installed, naming its distribution and version.
    """
    sections = _sections(data, checks)
    registry = registry if registry is not None else Registry.default()
    try:
        info = decode_info(decode(sections[INFO], INFO))
        _code(sections)  # its table is damaged or not, whoever reads it
        content = content_digest(memoryview(data).cast("B"))
        return _read_networks(sections, registry, info, content), info
    except (RecursionError, MemoryError, OverflowError) as error:
        raise PlanError(
            f"the plan exceeds all limits ({type(error).__name__}); build it again"
        ) from None


def read_requirements(data: PlanData) -> list[Requirement]:
    """The plug-ins that a plan needs. Imports none of them.

    Raises PlanError for a damaged or newer plan.
    """
    return decode_requirements(decode(_sections(data)[REQUIREMENTS], REQUIREMENTS))


def read_code(data: PlanData) -> dict[str, memoryview]:
    """The machine code in a plan that `read_plan` has read, by keys of its device, as views of
    `data`; empty where it has none. It tells a processor what to do: use that of plans that are
    trusted alone. Raises PlanError."""
    return _code(_sections(data, ChecksDone()))


def _code(sections: Mapping[str, memoryview]) -> dict[str, memoryview]:
    if CODE not in sections:
        return {}
    return decode_code(decode(sections[CODE_TABLE], CODE_TABLE), sections[CODE], CODE_TABLE)


def _sections(data: PlanData, checks: LateChecks | None = None) -> dict[str, memoryview]:
    view = memoryview(data)
    sections = read_container(view.cast("B") if view.nbytes else view, checks)
    if tuple(sections) not in (SECTIONS, (*SECTIONS, *CODE_SECTIONS)):
        refuse("the plan's list of sections", ", ".join(sections), ", ".join(SECTIONS))
    return sections


def _read_networks(
    sections: dict[str, memoryview], registry: Registry, info: EngineInfo, content: str
) -> PlannedNetwork:
    requirements = decode_requirements(decode(sections[REQUIREMENTS], REQUIREMENTS))
    graph = decode(sections[GRAPH], GRAPH)
    networks, states, constants = record(graph, GRAPH, "networks", "states", "constants")
    reader = PlanReader(
        registry,
        Installed(requirements, registry),
        read_constants(constants, sections[CONSTANTS], CONSTANTS),
        split_states(states, sections[STATES], STATES),
        content,
    )
    planned = reader.read(networks, decode(sections[TUNING], TUNING))
    unknown = set(info.profiles) - set(planned.network.free_symbols)
    if unknown:
        refuse("info.profiles", sorted(unknown), "sizes of the network's inputs")
    return planned


__all__ = [
    "EngineInfo", "Requirement", "read_code", "read_plan", "read_requirements",
    "revalidate_tactics", "write_plan",
]  # fmt: skip
