"""Devices by the names that users write: "cpu", "cuda", "cuda:1"."""

from __future__ import annotations

from typing import cast

from ...plugin_registry import Registry
from ...plugins import DevicePlugin, PluginError, PlugrtError


def parse_device(text: str) -> tuple[str, int]:
    """(name, number of the processor). Raises PlugrtError for another form."""
    name, colon, number = text.partition(":")
    if not name or (colon and not (number.isascii() and number.isdigit())):
        raise PlugrtError(f"device={text!r} is not a device; write a name, or one as 'cuda:1'")
    return name, int(number or 0)


def device_named(text: str, registry: Registry | None = None) -> DevicePlugin:
    """The device of this name; nothing is asked of its driver yet.

    Devices that `registry` does not know come from what is installed. Raises PlugrtError for
    a name that nobody provides.
    """
    name, ordinal = parse_device(text)
    if name == "cpu":
        from .cpu import CpuDevice

        return CpuDevice(ordinal)
    for known in (registry, Registry.default()):
        if known is not None and name in known.names("devices"):
            break
    else:
        names = ", ".join(["cpu", *(n for n in Registry.default().names("devices") if n != "cpu")])
        raise PlugrtError(f"device {name!r} is not installed; there are: {names}")
    try:
        found = known.get("devices", name)
    except PluginError as error:
        raise PlugrtError(f"device {name!r} cannot be used: {error}") from error
    return cast("type[DevicePlugin]", found)(ordinal)  # type: ignore[call-arg]
