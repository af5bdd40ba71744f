"""One plug-in known to a registry: listed first, imported when first used."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from ..plugins import PluginError
from .kinds import Kind

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """Why a plug-in is quarantined."""

    reason: str
    traceback: str = ""


@dataclass(frozen=True)
class Origin:
    """Where a plug-in comes from. `distribution` is None for classes registered by hand."""

    module: str
    object_name: str
    distribution: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        place = f"{self.module}:{self.object_name}"
        if self.distribution is None:
            return f"{place} (registered by hand)"
        return f"{place} of {self.distribution} {self.version}"


class Entry:
    """A name in a group, the class behind it, and how far it got. Thread-safe."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        origin: Origin,
        load: Callable[[], object],
    ) -> None:
        self.kind = kind
        self.name = name
        self.origin = origin
        self._import = load
        self._lock = threading.Lock()
        self._class: type | None = None
        self._failure: Failure | None = None

    @classmethod
    def of_class(cls, kind: Kind, candidate: type) -> Entry:
        """An entry for a class at hand. Raises PluginError when it breaks the contract."""
        checked = kind.check(candidate)
        origin = Origin(checked.__module__, checked.__qualname__)
        entry = cls(kind, kind.name_of(checked), origin, lambda: checked)
        entry._class = checked
        return entry

    @property
    def loaded(self) -> type | None:
        """The class, when it has been imported already."""
        return self._class

    @property
    def failure(self) -> Failure | None:
        """Why importing it failed, when it did."""
        return self._failure

    def load(self) -> type:
        """The class, imported at the first call.

        Raises PluginError, always the same, when that fails; the entry is then quarantined.
        """
        if self._class is None and self._failure is None:
            # Without the lock: an import may run code that asks a registry in turn, and
            # importing twice is harmless. The first result counts.
            found, failure = self._try_import()
            with self._lock:
                if self._class is None and self._failure is None:
                    self._class, self._failure = found, failure
                    if failure is not None:
                        log.warning(
                            "%s %r (%s) is quarantined: %s",
                            self.kind.noun, self.name, self.origin, failure.reason,
                        )  # fmt: skip
        if self._class is None:
            raise self.error()
        return self._class

    def error(self) -> PluginError:
        """The error for using a quarantined entry."""
        reason = self._failure.reason if self._failure else "it was not loaded"
        return PluginError(
            f"{self.kind.noun} {self.name!r} ({self.origin}) is quarantined: {reason}; "
            "see `plugrt plugins doctor`, then repair or uninstall its distribution"
        )

    def _try_import(self) -> tuple[type | None, Failure | None]:
        try:
            checked = self.kind.check(self._import())
            own = self.kind.name_of(checked)
            if own != self.name:
                raise PluginError(
                    f"{checked.__name__}.{self.kind.name_attribute} is {own!r}, but its entry "
                    f"point is named {self.name!r}; make them equal"
                )
        except (Exception, SystemExit) as error:
            text = str(error)
            if not isinstance(error, PluginError):
                text = f"{type(error).__name__}: {text}" if text else type(error).__name__
            return None, Failure(text, traceback.format_exc())
        return checked, None
