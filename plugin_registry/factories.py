"""Layers made by a function instead of a registered class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..plugins import LayerAttributeError, LayerPlugin, PluginError, check_layer_class

CreatePlugin = Callable[[str, Mapping[str, Any]], LayerPlugin | None]
"""`createPlugin(type, fields)`: an instance, or None for a type it does not know."""


class LayerFactory:
    """A user's `createPlugin`, with its results checked and their classes remembered."""

    def __init__(self, create: CreatePlugin) -> None:
        self._create = create
        self._classes: dict[str, type[LayerPlugin]] = {}

    def create(self, name: str, fields: Mapping[str, Any]) -> LayerPlugin | None:
        """An instance, or None. Raises PluginError when the function returns something else."""
        made = self._create(name, fields)
        if made is None:
            return None
        if not isinstance(made, LayerPlugin):
            raise PluginError(
                f"the factory made {made!r} for layer {name!r}; it must return an instance of "
                "plugrt.plugins.LayerPlugin, or None"
            )
        if made.type != name:
            raise PluginError(
                f"the factory made a {made.type!r} for layer {name!r}; types must be equal"
            )
        self._classes[name] = check_layer_class(type(made))
        return made

    def class_of(self, name: str) -> type[LayerPlugin] | None:
        """The class behind a type, found by making one if need be; None for unknown types."""
        if name not in self._classes:
            try:
                self.create(name, {})
            except LayerAttributeError as error:
                raise PluginError(
                    f"the factory cannot make layer {name!r} without attributes ({error}), so "
                    "its class is unknown; register the class instead"
                ) from None
        return self._classes.get(name)
