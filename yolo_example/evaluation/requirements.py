"""What evaluation needs beyond the tools' ordinary dependencies."""

from __future__ import annotations

from plugrt.plugins import PluginError


def missing_package(package: str, consequence: str) -> PluginError:
    """The error for an absent package of the extra `eval`."""
    return PluginError(
        f"{package} is not installed, so {consequence}; run: pip install 'plugrt-yolo[eval]'"
    )
