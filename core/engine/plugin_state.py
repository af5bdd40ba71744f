"""Plug-in instances from the state bytes of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...plugins import LayerPlugin, PlanError, PlugrtError
from ..graph import Network
from .plain import integer, items, one_line, refuse
from .requirements import Installed


def split_states(table: Any, section: memoryview, what: str) -> list[list[memoryview]]:
    """The states of each network's layers; they follow each other without gaps.

    Raises PlanError when the table and the section do not fit each other.
    """
    lengths = items(table, what, lambda row, at: items(row, at, integer))
    total = sum(map(sum, lengths))
    if total != section.nbytes:
        refuse(what, f"{total} bytes", f"{section.nbytes}, the size of the section")
    states: list[list[memoryview]] = []
    start = 0
    for network in lengths:
        states.append([])
        for length in network:
            states[-1].append(section[start : start + length])
            start += length
    return states


def make_plugin(
    installed: Installed, index: int, state: memoryview, bodies: Mapping[str, Network], what: str
) -> LayerPlugin:
    """The instance that `state` describes, with its bodies.

    Raises PlanError when the class is missing or too old, or refuses the state in any way.
    """
    layer, wanted = installed.layer(index)
    where = f"{what} ({wanted.type})"
    try:
        plugin = layer.deserialize(bytes(state), wanted.state_version)
    except PlugrtError as error:
        raise PlanError(f"{where}: {one_line(error)}") from error
    except Exception as error:
        raise PlanError(
            f"{where}: its plug-in cannot read the stored state ({type(error).__name__}: "
            f"{one_line(error)}); build the plan again"
        ) from error
    if not isinstance(plugin, LayerPlugin):
        raise PlanError(
            f"{where}: deserialize() returned {type(plugin).__name__}; it must return a layer"
        )
    _attach_bodies(plugin, bodies, where)
    return plugin


def _attach_bodies(plugin: LayerPlugin, bodies: Mapping[str, Network], what: str) -> None:
    declared = {name: a for name, a in plugin.schema.items() if a.kind_name == "Graph"}
    for name in bodies:
        if name not in declared:
            refuse(f"{what}.bodies", list(bodies), f"names among {list(declared)}")
    for name, attribute in declared.items():
        if name in bodies:
            plugin.__dict__[name] = bodies[name]
        elif attribute.required:
            raise PlanError(f"{what}: its body {name!r} is missing; build the plan again")
        else:
            plugin.__dict__[name] = attribute.default


def ask(plugin: LayerPlugin, method: str, what: str, *arguments: Any) -> Any:
    """The result of a plug-in's method; any failure becomes a PlanError that names the layer."""
    try:
        return getattr(plugin, method)(*arguments)
    except Exception as error:
        raise PlanError(
            f"{what}: {plugin.type}.{method}() failed ({type(error).__name__}: "
            f"{one_line(error)}); build the plan again"
        ) from error
