"""Errors of plug-ins, with the layer's name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...plugins import LayerPlugin, PluginError, PlugrtError


@contextmanager
def naming_layer(name: str, plugin: LayerPlugin, what: str) -> Iterator[None]:
    """Let errors say that they happened in `what` (a method) of a layer.

    Those of plugrt keep their type; any other is a bug of the plug-in and becomes a PluginError.
    """
    where = f"layer {name!r} ({plugin.type})"
    try:
        yield
    except PlugrtError as error:
        if str(error).startswith(where):
            raise
        raise with_text(error, f"{where}: {error}") from error
    except Exception as error:
        raise PluginError(f"{where}: {what} failed: {type(error).__name__}: {error}") from error


def with_text(error: PlugrtError, text: str) -> PlugrtError:
    """The same error with another text, whatever else its type wants to be told."""
    named = type(error).__new__(type(error))
    named.__dict__.update(error.__dict__)
    named.args = (text,)
    return named
