"""What the bytes of packed weights depend on beside the plan: code, library and processor."""

from __future__ import annotations

import hashlib
import os
import sys
from functools import cache

import numpy as np

from ...plugin_registry import Registry
from ...plugins import PluginError
from ...plugins.native import onednn
from ..devices.cpu import CpuDevice
from .planned import PlannedNetwork

ENVIRONMENT_PREFIXES = ("ONEDNN_", "DNNL_")
"""Variables that change what oneDNN chooses."""

_CODE = (".py", ".so")


def code_identity(planned: PlannedNetwork, registry: Registry) -> str | None:
    """A digest that changes with every file of the packages whose plug-ins a network uses, with
    oneDNN, its settings and the processor.

    None where a plug-in was registered by hand: nothing tells what such a class will do.
    """
    modules = {__name__, onednn.__name__}
    try:
        plugins = sorted(_plugins(planned, registry))
        for kind, name, module, _ in plugins:
            if registry.describe(kind, name).distribution is None:
                return None
            modules.add(module)
        files = [_files_of(module) for module in sorted(modules)]
    except (PluginError, OSError):
        return None
    if "" in files:
        return None
    settings = sorted(
        item for item in os.environ.items() if item[0].startswith(ENVIRONMENT_PREFIXES)
    )
    facts = (
        plugins, files, sorted(CpuDevice().fingerprint().items()), np.__version__, settings,
        _library_state(),
    )  # fmt: skip
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _plugins(planned: PlannedNetwork, registry: Registry) -> set[tuple[str, str, str, str]]:
    """(kind, name, module, class) of every plug-in that a network and its bodies use. Raises
    PluginError for a kernel that is no longer there."""
    found = set()
    for layer in planned.network.layers:
        chosen = type(layer.plugin)
        found.add(("layers", layer.plugin.type, chosen.__module__, chosen.__qualname__))
        if layer.kernel is not None:
            kernel = registry.get("kernels", layer.kernel)
            found.add(("kernels", layer.kernel, kernel.__module__, kernel.__qualname__))
    for body in planned.bodies.values():
        found |= _plugins(body, registry)
    return found


@cache
def _files_of(module: str) -> str:
    """A digest of the code of all packages around a module, however folders are mapped onto
    them; empty for a module without files."""
    names = module.split(".")
    around = [sys.modules.get(".".join(names[:count])) for count in range(1, len(names) + 1)]
    folders = {folder for package in around for folder in getattr(package, "__path__", ())}
    outermost = [
        folder for folder in sorted(folders)
        if not any(folder.startswith(other + os.sep) for other in folders)
    ]  # fmt: skip
    if outermost:
        return "".join(map(_digest_of_folder, outermost))
    file = getattr(around[-1], "__file__", None)
    return str(_facts(file)) if file is not None and os.path.isfile(file) else ""


@cache
def _digest_of_folder(folder: str) -> str:
    """A digest of the names, sizes and times of all code below a folder."""
    found: list[tuple[str, int, int, int]] = []
    _collect(folder, found)
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()


def _collect(folder: str, found: list[tuple[str, int, int, int]]) -> None:
    """Add (path, size, times) of all code below a folder; written for speed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(_CODE):
                state = entry.stat()
                found.append((entry.path, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
            elif "." not in name and name != "__pycache__" and entry.is_dir():
                _collect(entry.path, found)


def _facts(path: str) -> tuple[int, int, int]:
    """What changes when a file does."""
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _library_state() -> tuple[object, ...]:
    if not onednn.available():
        return ()
    path = onednn.library().path
    return (path, *_facts(path)) if os.path.isfile(path) else (path,)
