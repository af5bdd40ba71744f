"""One registry's own names and decisions, seen together with those of its parents."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from ..plugins import PluginError
from .description import PluginDescription, State
from .discovery import PREFER_VARIABLE
from .distributions import same_distribution
from .entry import Entry
from .kinds import KINDS, kind_named
from .restrictions import DecisionTable, Restriction


class Scope:
    """Which entry a name means. The nearest scope decides, then its parents. Thread-safe."""

    def __init__(self, parent: Scope | None = None) -> None:
        self._parent = parent
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, list[Entry]]] = {kind: {} for kind in KINDS}
        self.denied = DecisionTable()
        self.substitutes = DecisionTable()
        self.preferred = DecisionTable()

    def _lineage(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope._parent

    def adopt(self, entries: dict[str, dict[str, list[Entry]]]) -> None:
        """Take over discovered entries."""
        with self._lock:
            self._entries = entries

    def add(self, entry: Entry, override: bool) -> None:
        """Add an entry made by hand. Raises PluginError when its name is taken."""
        with self._lock:
            taken = self.entry(entry.kind.name, entry.name)
            if taken is not None and taken.loaded is not entry.loaded and not override:
                raise PluginError(
                    f"{entry.kind.noun} {entry.name!r} is registered already: {taken.origin}; "
                    "choose another name, or pass override=True to hide that one here"
                )
            self._entries[entry.kind.name][entry.name] = [entry]

    def names(self, kind: str) -> list[str]:
        """All names of a kind, sorted."""
        found: set[str] = set()
        for scope in self._lineage():
            found.update(list(scope._entries[kind_named(kind).name]))
        return sorted(found)

    def claimants(self, kind: str, name: str) -> list[Entry]:
        """All entries for a name in the nearest scope that has one, the rightful first."""
        for scope in self._lineage():
            entries = scope._entries[kind].get(name)
            if entries:
                wanted = self._preference(kind, name)
                return sorted(
                    entries,
                    key=lambda e: not same_distribution(e.origin.distribution, wanted),
                )
        return []

    def entry(self, kind: str, name: str) -> Entry | None:
        """The entry that a name means, decisions about substitution and denial aside."""
        return next(iter(self.claimants(kind, name)), None)

    def entries(self, kind: str) -> list[Entry]:
        """The entry of every name, sorted by name."""
        found = (self.entry(kind, name) for name in self.names(kind))
        return [entry for entry in found if entry is not None]

    def is_denied(self, kind: str, name: str) -> bool:
        """Whether this scope or a parent refuses the plug-in."""
        return any(scope.denied.get((kind, name)) for scope in self._lineage())

    def substitution_chain(self, name: str) -> list[str]:
        """A layer type, what stands for it, what stands for that, and so on.

        Raises PluginError when scopes have been made to refer to each other in a ring.
        """
        chain = [name]
        while (successor := self._substitute(chain[-1])) is not None:
            if successor in chain:
                ring = " -> ".join([*chain, successor])
                raise PluginError(f"layer substitutions form a ring: {ring}; undo one of them")
            chain.append(successor)
        return chain

    def prefer(self, name: str, distribution: str) -> Restriction:
        """Let this distribution's claim to `name` precede the others, in every kind.

        Raises PluginError when the distribution does not claim the name.
        """
        claims = {kind: self.claimants(kind, name) for kind in KINDS}
        owners = {str(e.origin.distribution): None for found in claims.values() for e in found}
        if not any(same_distribution(owner, distribution) for owner in owners):
            raise PluginError(
                f"distribution {distribution!r} provides no plug-in {name!r}; "
                f"it comes from: {', '.join(owners) or 'none that is installed'}"
            )
        steps = [
            self.preferred.add((kind, name), distribution, f"prefer {distribution}")
            for kind, found in claims.items()
            if any(same_distribution(e.origin.distribution, distribution) for e in found)
        ]

        def undo() -> None:
            for step in steps:
                step.undo()

        return Restriction(f"prefer {name} of {distribution}", undo)

    def describe(self, entry: Entry) -> PluginDescription:
        """What is known of an entry without importing it."""
        kind, name, origin = entry.kind.name, entry.name, entry.origin
        state: State = "available"
        reason = trace = ""
        rightful = self.entry(kind, name)
        if rightful is not None and rightful is not entry:
            state, reason = "quarantined", _conflict(entry, rightful)
        elif entry.failure is not None:
            state, reason, trace = "quarantined", entry.failure.reason, entry.failure.traceback
        elif self.is_denied(kind, name):
            state, reason = "denied", "denied by Registry.deny()"
        elif entry.loaded is not None:
            state = "loaded"
        return PluginDescription(
            kind, name, origin.distribution, origin.version, origin.module, origin.object_name,
            state, reason, trace, self._substitute(name) if kind == "layers" else None,
        )  # fmt: skip

    def _substitute(self, name: str) -> str | None:
        found = (scope.substitutes.get(("layers", name)) for scope in self._lineage())
        return next((item for item in found if item is not None), None)

    def _preference(self, kind: str, name: str) -> str | None:
        found = (scope.preferred.get((kind, name)) for scope in self._lineage())
        return next((item for item in found if item is not None), None)


def _conflict(newcomer: Entry, rightful: Entry) -> str:
    name, mine = newcomer.name, newcomer.origin
    return (
        f"{mine.distribution} {mine.version} and {rightful.origin.distribution} "
        f"{rightful.origin.version} both claim {newcomer.kind.noun} {name!r}; the latter is used. "
        f"To use the former: Registry.prefer({name!r}, {mine.distribution!r}) or "
        f"{PREFER_VARIABLE}={name}={mine.distribution}"
    )
