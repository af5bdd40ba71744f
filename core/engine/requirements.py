"""The plug-ins that a plan needs: found when it is written, installed when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, cast

from ...plugin_registry import Registry
from ...plugins import KernelPlugin, LayerPlugin, PlanError, PluginError
from .plain import choice, integer, items, one_line, optional, record, text

LAYER = "layers"
KERNEL = "kernels"

MAXIMUM_STATE_VERSION = 2**31 - 1


@dataclass(frozen=True, order=True)
class Requirement:
    """One plug-in that a plan needs. `kind` is layers or kernels (these have no versions of
    their own). Without `distribution` the class was registered by hand at build time."""

    kind: str
    type: str
    version: str
    state_version: int
    distribution: str
    distribution_version: str

    @property
    def namespace(self) -> str:
        """`Vendor` of `Vendor.Name`; empty for built-ins."""
        return self.type.rpartition(".")[0]

    @property
    def origin(self) -> str:
        """Where it comes from, for messages."""
        if not self.distribution:
            return "it was registered by hand when the plan was built; pass it as plugins=..."
        return f"install {self.distribution}=={self.distribution_version}"


def layer_requirement(registry: Registry, plugin: LayerPlugin) -> Requirement:
    """What a layer's plug-in needs at load time."""
    distribution = _distribution(registry, LAYER, plugin.type, type(plugin).__module__)
    return Requirement(LAYER, plugin.type, plugin.version, plugin.state_version, *distribution)


def kernel_requirement(registry: Registry, name: str) -> Requirement:
    """What a further kernel needs at load time. Raises PluginError for an unknown one."""
    module = registry.get(KERNEL, name).__module__
    return Requirement(KERNEL, name, "", 0, *_distribution(registry, KERNEL, name, module))


def encode_requirement(requirement: Requirement) -> dict[str, Any]:
    """A requirement as plain values."""
    return {
        "kind": requirement.kind,
        "type": requirement.type,
        "version": requirement.version,
        "state_version": requirement.state_version,
        "namespace": requirement.namespace,
        "distribution": requirement.distribution or None,
        "distribution_version": requirement.distribution_version or None,
    }


def decode_requirement(plain: Any, what: str) -> Requirement:
    """Inverse of `encode_requirement`. Raises PlanError naming the field."""
    kind, name, version, state_version, namespace, distribution, release = record(
        plain, what, "kind", "type", "version", "state_version", "namespace", "distribution",
        "distribution_version",
    )  # fmt: skip
    found = Requirement(
        choice(kind, f"{what}.kind", (LAYER, KERNEL)),
        text(name, f"{what}.type"),
        text(version, f"{what}.version"),
        integer(state_version, f"{what}.state_version", 0, MAXIMUM_STATE_VERSION),
        optional(distribution, f"{what}.distribution", text) or "",
        optional(release, f"{what}.distribution_version", text) or "",
    )
    choice(namespace, f"{what}.namespace", (found.namespace,))
    return found


def decode_requirements(plain: Any) -> list[Requirement]:
    """All requirements of a plan."""
    return items(plain, "requirements", decode_requirement)


class Installed:
    """The classes behind a plan's requirements, imported when first asked for."""

    def __init__(self, requirements: list[Requirement], registry: Registry) -> None:
        self._requirements = requirements
        self._registry = registry
        self._classes: dict[int, type] = {}

    def layer(self, index: int) -> tuple[type[LayerPlugin], Requirement]:
        """The layer class of a requirement. Raises PlanError saying what to install."""
        return cast("type[LayerPlugin]", self._class(index, LAYER)), self._requirements[index]

    def kernel(self, index: int, layer: LayerPlugin) -> str:
        """The name of a further kernel for `layer`. Raises PlanError saying what to install."""
        found = cast("type[KernelPlugin]", self._class(index, KERNEL))
        if found.layer != layer.type:
            raise PlanError(
                f"kernel {found.name!r} implements {found.layer}, not {layer.type}; build the "
                "plan again"
            )
        return found.name

    def _class(self, index: int, kind: str) -> type:
        if not 0 <= index < len(self._requirements) or self._requirements[index].kind != kind:
            raise PlanError(f"the plan names no {kind} number {index}; build it again")
        if index not in self._classes:
            self._classes[index] = self._load(self._requirements[index])
        return self._classes[index]

    def _load(self, wanted: Requirement) -> type:
        try:
            found = self._registry.require(
                wanted.kind, wanted.type, wanted.distribution or None,
                wanted.distribution_version or None,
            )
        except PluginError as error:
            raise PlanError(f"the plan needs {_named(wanted, error)}") from error
        if wanted.kind == LAYER and getattr(found, "type", None) == wanted.type:
            _check_versions(wanted, cast("type[LayerPlugin]", found))
        return found


def _named(wanted: Requirement, error: PluginError) -> str:
    """What is missing, and where to get it: the registry's own text when it says both."""
    told = one_line(error)
    if wanted.distribution and wanted.distribution in told:
        return told
    return f"{told}; {wanted.origin}"


def _check_versions(wanted: Requirement, found: type[LayerPlugin]) -> None:
    if wanted.state_version > found.state_version:
        raise PlanError(
            f"{wanted.type} has state version {wanted.state_version} in the plan, newer than the "
            f"installed {found.state_version}; {wanted.origin}"
        )
    if wanted.version == found.version:
        return
    mine, theirs = _numbers(found.version), _numbers(wanted.version)
    if mine is None or theirs is None or theirs > mine:
        raise PlanError(
            f"{wanted.type} has version {wanted.version!r} in the plan and {found.version!r} "
            f"here; {wanted.origin}"
        )


def _numbers(version: str) -> tuple[int, ...] | None:
    """A dotted version as numbers; None for another form."""
    parts = version.split(".")
    if all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        return tuple(map(int, parts))
    return None


def _distribution(registry: Registry, kind: str, name: str, module: str) -> tuple[str, str]:
    """(distribution, version) that provides a plug-in; empty where none does."""
    try:
        described = registry.describe(kind, name)
    except PluginError:
        described = None  # an instance of a class that nobody registered
    if described is not None and described.distribution:
        return described.distribution, described.version or ""
    for distribution in sorted(_owners().get(module.partition(".")[0], ())):
        try:
            return distribution, metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return "", ""


@cache
def _owners() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()
