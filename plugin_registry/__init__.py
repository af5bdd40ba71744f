"""Names, versions, conflicts, overrides and discovery of plug-ins."""

from .compatibility import why_incompatible
from .description import PluginDescription
from .discovery import PREFER_VARIABLE, preferences_from_environment
from .factories import CreatePlugin
from .kinds import KINDS, Kind
from .registry import Plugins, Registry
from .restrictions import Restriction

__all__ = [
    "KINDS",
    "PREFER_VARIABLE",
    "CreatePlugin",
    "Kind",
    "PluginDescription",
    "Plugins",
    "Registry",
    "Restriction",
    "preferences_from_environment",
    "why_incompatible",
]
