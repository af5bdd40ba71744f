"""Finding plug-ins: entry points of installed distributions, listed and not imported."""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING, Any

from stevedore.extension import Extension, ExtensionManager

from ..plugins import PluginError
from .distributions import same_distribution, seniority
from .entry import Entry, Origin
from .kinds import KINDS, Kind

if TYPE_CHECKING:
    _Manager = ExtensionManager[Any]
else:
    _Manager = ExtensionManager

PREFER_VARIABLE = "PLUGRT_PREFER"


class ListingManager(_Manager):
    """stevedore's manager of one group, without the import of every extension.

    The list comes from the installed metadata: stevedore's own cache keeps no
    distributions, and its key rounds modification times to 128 seconds, so that an entry
    point added by a quick reinstallation would stay unseen.
    """

    def __init__(self, namespace: str, entry_points: list[metadata.EntryPoint]) -> None:
        self._entry_points = entry_points
        super().__init__(namespace)

    def list_entry_points(self) -> list[metadata.EntryPoint]:
        return self._entry_points

    def _load_one_plugin(
        self, ep: metadata.EntryPoint, *args: Any, **options: Any
    ) -> Extension[Any]:
        unloaded: Any = None
        return Extension(ep.name, ep, unloaded, None)


def discover() -> dict[str, dict[str, list[Entry]]]:
    """Kind -> name -> claimants of that name, the rightful one first. Imports nothing.

    Of several claimants the built-in distribution comes first, then the others by
    normalised distribution name: whoever comes later is the newcomer, whatever the order
    of installation or of sys.path.
    """
    installed = metadata.entry_points()
    known: dict[int, tuple[str | None, str | None]] = {}
    return {
        kind.name: _discover_kind(kind, list(installed.select(group=kind.group)), known)
        for kind in KINDS.values()
    }


def _discover_kind(
    kind: Kind,
    installed: list[metadata.EntryPoint],
    known: dict[int, tuple[str | None, str | None]],
) -> dict[str, list[Entry]]:
    claimants: dict[str, list[Entry]] = {}
    for extension in ListingManager(kind.group, installed):
        point = extension.entry_point
        distribution, version = _distribution_of(point, known)
        origin = Origin(point.module, point.attr, distribution, version)
        entries = claimants.setdefault(extension.name, [])
        # One distribution seen twice on sys.path is no conflict.
        if not any(same_distribution(entry.origin.distribution, distribution) for entry in entries):
            entries.append(Entry(kind, extension.name, origin, point.load))
    for entries in claimants.values():
        entries.sort(key=lambda entry: seniority(entry.origin.distribution))
    return dict(sorted(claimants.items()))


def _distribution_of(
    point: metadata.EntryPoint, known: dict[int, tuple[str | None, str | None]]
) -> tuple[str | None, str | None]:
    distribution = point.dist
    if distribution is None:
        return None, None
    key = id(distribution)
    if key not in known:
        known[key] = (distribution.name, distribution.version)
    return known[key]


def preferences_from_environment() -> dict[str, str]:
    """Overrides in PLUGRT_PREFER: `Name=distribution,...`.

    Raises PluginError for text in another form.
    """
    found: dict[str, str] = {}
    for item in os.environ.get(PREFER_VARIABLE, "").split(","):
        if not item.strip():
            continue
        name, equals, distribution = (part.strip() for part in item.partition("="))
        if not (name and equals and distribution):
            raise PluginError(
                f"{PREFER_VARIABLE} has {item.strip()!r}; write Name=distribution, several "
                "with commas between them"
            )
        found[name] = distribution
    return found
