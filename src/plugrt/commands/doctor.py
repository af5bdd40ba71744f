"""`plugrt plugins doctor`: what is installed, what is compiled, and what is ill."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import import_module, metadata
from typing import TextIO

from plugrt.plugin_registry import (
    KINDS,
    PREFER_VARIABLE,
    PluginDescription,
    Registry,
    preferences_from_environment,
)
from plugrt.plugins import PluginError

from .tables import print_heading, print_table

EXTENSIONS = (
    "plugrt.plugins.native._native",
    "plugrt.core._runtime",
    "plugrt.builtin_layers._kernels",
)
"""The compiled parts of plugrt."""


def examine(out: TextIO, registry: Registry) -> bool:
    """Import every plug-in and print a report; False when something has to be repaired.

    An absent oneDNN is reported but is no fault: C and NumPy kernels stand in for it.
    """
    sound = _examine_installation(out)
    print(file=out)
    return _examine_plugins(out, registry) and sound


def _examine_installation(out: TextIO) -> bool:
    rows = [
        ["plugrt", metadata.version("plugrt")],
        ["Python", f"{platform.python_version()} on {platform.machine()} {platform.system()}"],
        ["NumPy", metadata.version("numpy")],
    ]
    sound = True
    for name in EXTENSIONS:
        try:
            import_module(name)
        except ImportError as error:
            sound = False
            rows.append([name, f"missing: {error}; install plugrt where gcc and Python's headers "
                         "are present, or from a binary wheel"])  # fmt: skip
        else:
            rows.append([name, "compiled and loaded"])
    rows.append(["oneDNN", _onednn_state()])
    rows.append(["processor features", _processor_features()])
    rows.append(["packed weights", _packed_weights()])
    rows.append([PREFER_VARIABLE, os.environ.get(PREFER_VARIABLE) or "not set"])
    print_heading(out, "Installation")
    print_table(out, ("part", "state"), rows)
    print(file=out)
    return _examine_cuda(out) and sound


def _examine_cuda(out: TextIO) -> bool:
    """What there is for GPUs; only parts that do not fit together are faults."""
    from plugrt.plugins.native import cuda

    found = cuda.doctor()
    print_heading(out, "CUDA")
    print_table(out, ("part", "state"), [[part, state] for part, state in found.facts])
    for conflict in found.conflicts:
        print(f"\n{conflict}", file=out)
    return not found.conflicts


def _onednn_state() -> str:
    from plugrt.plugins.native import onednn

    reason = onednn.unavailable_reason()
    if reason is not None:
        return f"absent: {reason}"
    library = onednn.library()
    return f"{'.'.join(map(str, library.version))} ({library.path})"


def _packed_weights() -> str:
    from plugrt.core.runtime import cache_folder

    place = cache_folder.folder()
    if place is None:
        return f"not kept ({cache_folder.VARIABLE}=off)"
    return f"{cache_folder.used_bytes() / 2**20:,.0f} MiB in {place}"


def _processor_features() -> str:
    from plugrt.plugins.native import cpu

    return ", ".join(sorted(cpu.features())) or "unknown"


def _examine_plugins(out: TextIO, registry: Registry) -> bool:
    for kind in KINDS:
        for name in registry.names(kind):
            _try_to_load(registry, kind, name)
    found = registry.descriptions()
    sick = [item for item in found if item.state == "quarantined"]
    counts = [
        [kind, str(sum(d.kind == kind for d in found)), str(sum(d.kind == kind for d in sick))]
        for kind in KINDS
    ]
    print_heading(out, "Plug-ins")
    print_table(out, ("kind", "registered", "quarantined"), counts)
    for item in sick:
        print(file=out)
        origin = f"{item.distribution} {item.version}" if item.distribution else "by hand"
        print_heading(out, f"{item.kind} {item.name} ({origin}, {item.module}) is quarantined")
        print(item.reason, file=out)
        if item.traceback:
            print(item.traceback.rstrip(), file=out)
    idle = _idle_preferences(found)
    for name, distribution in idle.items():
        print(f"\n{PREFER_VARIABLE} prefers {name} of {distribution}, which provides no such "
              "plug-in; install it, or drop the preference", file=out)  # fmt: skip
    return not sick and not idle


def _idle_preferences(found: list[PluginDescription]) -> dict[str, str]:
    """Preferences of the environment that no installed plug-in answers to."""
    return {
        name: distribution
        for name, distribution in preferences_from_environment().items()
        if not any(d.name == name and d.comes_from(distribution) for d in found)
    }


def _try_to_load(registry: Registry, kind: str, name: str) -> None:
    with suppress(PluginError):  # then it is quarantined with its traceback, or denied
        registry.get(kind, name)
