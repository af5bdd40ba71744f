"""Registries: which class a name means, for the whole process or locally."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar, cast

from ..plugins import (
    CalibratorPlugin,
    DevicePlugin,
    KernelPlugin,
    LayerPlugin,
    ParserPlugin,
    PassPlugin,
    PluginError,
)
from .compatibility import output_count_difference, why_incompatible
from .description import PluginDescription
from .discovery import PREFER_VARIABLE, discover, preferences_from_environment
from .distributions import seniority
from .entry import Entry
from .factories import CreatePlugin, LayerFactory
from .kinds import KINDS, kind_named, kind_of
from .lazy_classes import LazyClasses
from .restrictions import Restriction
from .scope import Scope
from .suggestions import missing

PluginClass = TypeVar("PluginClass", bound=type)
LayerClass = type[LayerPlugin]
KernelClass = type[KernelPlugin]


class Registry:
    """Plug-ins by kind and name, on top of those of a parent. Thread-safe.

    `Registry()` is empty; `Registry(Registry.default())` adds to what is installed.
    `factory` is asked for layers that nobody registers: `createPlugin(type, fields)`
    returns an instance, or None for a type it does not know.

    Nothing is imported before it is used. A plug-in that cannot be used is quarantined:
    asking for it raises PluginError, and all others go on working.
    """

    _default: ClassVar[Registry | None] = None
    _default_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self, parent: Registry | None = None, *, factory: CreatePlugin | None = None
    ) -> None:
        self.parent = parent
        self._scope: Scope = Scope(parent._scope if parent is not None else None)
        inherited = parent._factories if parent is not None else ()
        self._factories: tuple[LayerFactory, ...] = (
            inherited if factory is None else (LayerFactory(factory), *inherited)
        )

    @classmethod
    def default(cls) -> Registry:
        """The process-wide registry of everything installed; made at the first call.

        Raises PluginError when PLUGRT_PREFER is malformed.
        """
        with Registry._default_lock:
            if Registry._default is None:
                Registry._default = cls.discover()
            return Registry._default

    @classmethod
    def discover(cls) -> Registry:
        """A new registry of the entry points installed now. Imports no plug-in."""
        registry = cls()
        registry._scope.adopt(discover())
        for name, distribution in preferences_from_environment().items():
            for kind in KINDS:
                registry._scope.preferred.add((kind, name), distribution, PREFER_VARIABLE)
        return registry

    @classmethod
    def of(cls, plugins: Plugins) -> Registry:
        """What a user hands over as `plugins=`, as a registry.

        None is the default registry; a class, several, or a `createPlugin` factory, are put on
        top of it. Raises PluginError as `register` does.
        """
        if plugins is None:
            return cls.default()
        if isinstance(plugins, Registry):
            return plugins
        if callable(plugins) and not isinstance(plugins, type):
            return cls(cls.default(), factory=plugins)
        registry = cls(cls.default())
        for plugin in (plugins,) if isinstance(plugins, type) else plugins:
            registry.register(plugin)
        return registry

    def register(self, plugin: PluginClass, *, override: bool = False) -> PluginClass:
        """Add a class of any kind here, and return it (so it may decorate the class).

        Raises PluginError when the class breaks its contract, or when its name is taken
        and `override` is not set.
        """
        self._scope.add(Entry.of_class(kind_of(plugin), plugin), override)
        return plugin

    # ---- asking ---------------------------------------------------------------------------

    def get(self, kind: str, name: str) -> type:
        """The class, imported now if need be; for layers, the substitute's where there is one.

        Raises PluginError for a name that is unknown (with the closest ones), denied or
        quarantined.
        """
        return self.require(kind, name)

    def require(
        self, kind: str, name: str, distribution: str | None = None, version: str | None = None
    ) -> type:
        """Like `get`, for callers that know where the plug-in came from: the error for a
        missing one says which distribution, in which version, to install."""
        plug_point = kind_named(kind)
        actual = self._scope.substitution_chain(name)[-1] if kind == "layers" else name
        if self._scope.is_denied(kind, actual):
            raise PluginError(
                f"{plug_point.noun} {actual!r} is denied in this registry; allow it again "
                "(undo the denial, or reset()), or substitute another for it"
            )
        found = self._class(kind, actual)
        if found is None:
            known = self.names(kind)
            raise PluginError(missing(plug_point, actual, known, distribution, version))
        return found

    def layer(self, type: str) -> type[LayerPlugin]:
        """The layer class that `type` means here."""
        return cast(LayerClass, self.require("layers", type))

    def createPlugin(self, type: str, fields: Mapping[str, Any]) -> LayerPlugin:
        """A new layer instance with the attributes `fields`.

        A substitute gets all attributes of the type it stands for, that one's defaults
        included. Raises PluginError or LayerAttributeError.
        """
        if self._scope.substitution_chain(type)[-1] != type:
            return self._create_substitute(type, fields)
        if self._scope.entry("layers", type) is None:
            for factory in self._factories:
                made = factory.create(type, fields)
                if made is not None:
                    return made
        return self.layer(type)(**fields)

    def admit(self, plugin: LayerPlugin) -> LayerPlugin:
        """What to use for an instance that a rewrite or a pass made without asking: itself, or
        its substitute. Raises PluginError when its type is denied."""
        substituted = self._scope.substitution_chain(plugin.type)[-1] != plugin.type
        if substituted or self._scope.is_denied("layers", plugin.type):
            return self.createPlugin(plugin.type, plugin.attribute_values)
        return plugin

    def by_role(self, role: str) -> type[LayerPlugin]:
        """The layer class with this role: built-ins before classes registered by hand before
        other distributions', then by name. Substitutes are honoured, denied ones passed over.

        Raises PluginError when there is none.
        """
        entries = self._scope.entries("layers")
        for entry in sorted(entries, key=lambda e: (seniority(e.origin.distribution), e.name)):
            if self._is_allowed(entry) and _role_of(entry) == role:
                return self.layer(entry.name)
        raise PluginError(
            f"no layer has the role {role!r}; install plugrt with its built-in layers, or "
            f"register a layer class with role = {role!r}"
        )

    def kernels_for(self, type: str) -> list[type[KernelPlugin]]:
        """Further kernels for a layer type, by name."""
        kernels = cast("list[KernelClass]", self._usable("kernels"))
        return [kernel for kernel in kernels if kernel.layer == type]

    def parsers(self) -> list[type[ParserPlugin]]:
        """All parsers that can be used, by name."""
        return cast("list[type[ParserPlugin]]", self._usable("parsers"))

    def passes(self, stage: str) -> list[type[PassPlugin]]:
        """All passes of a stage that can be used, by name."""
        passes = cast("list[type[PassPlugin]]", self._usable("passes"))
        return [item for item in passes if item.stage == stage]

    @property
    def devices(self) -> Mapping[str, type[DevicePlugin]]:
        """Device classes by name; each is imported when looked up."""
        return LazyClasses(lambda: self.names("devices"), lambda name: self.get("devices", name))

    @property
    def calibrators(self) -> Mapping[str, type[CalibratorPlugin]]:
        """Calibrator classes by name; each is imported when looked up."""
        kind = "calibrators"
        return LazyClasses(lambda: self.names(kind), lambda name: self.get(kind, name))

    # ---- listing: nothing is imported -------------------------------------------------------

    def names(self, kind: str) -> list[str]:
        """All names of a kind, sorted."""
        return self._scope.names(kind)

    def describe(self, kind: str, name: str) -> PluginDescription:
        """Where a plug-in comes from, and its state. Raises PluginError for an unknown name."""
        entry = self._scope.entry(kind_named(kind).name, name)
        if entry is None:
            raise PluginError(missing(KINDS[kind], name, self.names(kind)))
        return self._scope.describe(entry)

    def descriptions(self, kind: str | None = None) -> list[PluginDescription]:
        """Every plug-in of one kind or of all, newcomers in conflicts included."""
        return [
            self._scope.describe(entry)
            for each in (KINDS if kind is None else (kind_named(kind).name,))
            for name in self.names(each)
            for entry in self._scope.claimants(each, name)
        ]

    def quarantined(self) -> list[PluginDescription]:
        """What failed to load so far, and the newcomers in conflicts."""
        return [found for found in self.descriptions() if found.state == "quarantined"]

    # ---- deciding -------------------------------------------------------------------------

    def deny(self, type: str, *, kind: str = "layers") -> Restriction:
        """Refuse a plug-in here and in children: using it raises PluginError.

        The result undoes it, also as a context manager. Raises PluginError for an unknown name.
        """
        self.describe(kind, type)
        return self._scope.denied.add((kind, type), "denied", f"deny {type}")

    def substitute(self, type: str, by: str) -> Restriction:
        """Every request for layer `type`, here and in children, yields `by`.

        The result undoes it, also as a context manager. Raises PluginError, saying why, when
        `by` cannot take over every legal use of `type`.
        """
        if type in self._scope.substitution_chain(by):
            raise PluginError(
                f"layer {by!r} cannot substitute {type!r}: requests for {by!r} yield {type!r}"
            )
        original, substitute = self._original(type), self.layer(by)
        reason = why_incompatible(original, substitute)
        if reason is not None:
            raise PluginError(f"layer {by!r} cannot substitute {type!r}: {reason}")
        return self._scope.substitutes.add(("layers", type), by, f"substitute {by} for {type}")

    def prefer(self, name: str, distribution: str) -> Restriction:
        """Where several distributions claim `name`, use this one's, here and in children.

        The result undoes it, also as a context manager. Raises PluginError when this
        distribution does not claim the name.
        """
        return self._scope.prefer(name, distribution)

    def reset(self) -> None:
        """Take back every denial, substitution and preference made in this registry."""
        for table in (self._scope.denied, self._scope.substitutes, self._scope.preferred):
            table.clear()

    # ---- internals ------------------------------------------------------------------------

    def _class(self, kind: str, name: str) -> type | None:
        entry = self._scope.entry(kind, name)
        if entry is not None:
            return entry.load()
        if kind != "layers":
            return None
        found = (factory.class_of(name) for factory in self._factories)
        return next((item for item in found if item is not None), None)

    def _original(self, name: str) -> type[LayerPlugin]:
        """The layer class registered under a name, denied and substituted or not."""
        found = self._class("layers", name)
        if found is None:
            raise PluginError(missing(KINDS["layers"], name, self.names("layers")))
        return cast(LayerClass, found)

    def _create_substitute(self, name: str, fields: Mapping[str, Any]) -> LayerPlugin:
        original = self._original(name)(**fields)
        made = self.layer(name)(**original.attribute_values)
        difference = output_count_difference(original, made)
        if difference is not None:
            raise PluginError(f"layer {made.type!r} cannot substitute {name!r}: {difference}")
        return made

    def _is_allowed(self, entry: Entry) -> bool:
        """Whether nobody denies an entry, or what stands for it."""
        name = entry.name
        if entry.kind.name == "layers":
            name = self._scope.substitution_chain(name)[-1]
        return not self._scope.is_denied(entry.kind.name, name)

    def _usable(self, kind: str) -> list[type]:
        allowed = [entry for entry in self._scope.entries(kind) if self._is_allowed(entry)]
        return [found for found in map(_load_or_none, allowed) if found is not None]


def _load_or_none(entry: Entry) -> type | None:
    """The class; None for a quarantined entry, which has been logged."""
    try:
        return entry.load()
    except PluginError:
        return None


def _role_of(entry: Entry) -> str | None:
    return getattr(_load_or_none(entry), "role", None)


Plugins = Registry | CreatePlugin | type | Iterable[type] | None
"""What may be handed over as `plugins=`; see `Registry.of`."""
