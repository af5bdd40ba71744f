"""Loading plans with plug-ins handed over at run time."""

from __future__ import annotations

import os
from typing import Union

from ...plugin_registry import Registry
from ...plugin_registry.registry import Plugins
from ..engine.engine import Engine


class Runtime:
    """Loads engines.

    `plugins` may be a Registry, plug-in classes, or a `createPlugin(type, fields)` factory,
    for layers that no installed distribution provides.
    """

    def __init__(self, plugins: Plugins = None) -> None:
        self.registry = Registry.of(plugins)

    def load(
        self, plan: Union[str, os.PathLike[str], bytes], plugins: Plugins = None,  # noqa: UP007
        device: str | None = None, trusted: bool = False,
    ) -> Engine:  # fmt: skip
        """An engine from a plan file, or from the plan's bytes. See `Engine.load`."""
        registry = self.registry if plugins is None else Registry.of(plugins)
        if isinstance(plan, (bytes, bytearray, memoryview)):
            return Engine.from_bytes(bytes(plan), registry, device=device, trusted=trusted)
        return Engine.load(plan, registry, device=device, trusted=trusted)
