"""What a registry can tell about a plug-in without importing it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from .distributions import same_distribution

State = Literal["available", "loaded", "quarantined", "denied"]


@dataclass(frozen=True)
class PluginDescription:
    """One plug-in: where it comes from and whether it can be used.

    `version` is that of the distribution. Classes registered by hand have neither.
    `substitute` names the layer type that requests yield instead, when there is one.
    """

    kind: str
    name: str
    distribution: str | None
    version: str | None
    module: str
    object_name: str
    state: State
    reason: str = ""
    traceback: str = ""
    substitute: str | None = None

    @property
    def namespace(self) -> str:
        """`Vendor` of `Vendor.Name`; empty for built-ins."""
        return self.name.rpartition(".")[0]

    def comes_from(self, distribution: str) -> bool:
        """Whether a distribution of this name, however it is spelled, provides the plug-in."""
        return same_distribution(self.distribution, distribution)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "namespace": self.namespace}
