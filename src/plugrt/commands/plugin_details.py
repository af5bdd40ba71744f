"""What `plugrt plugins show` tells about one plug-in."""

from __future__ import annotations

import inspect
from typing import Any, TextIO

from plugrt.plugin_registry import PluginDescription, Registry
from plugrt.plugins import KernelPlugin, LayerPlugin, PassPlugin, PluginError, Schema

from .tables import print_heading, print_table

_CAPABILITIES = {
    "reference": "NumPy reference",
    "pointwise": "pointwise: fuses as an epilogue",
    "getTactics": "own tactics",
    "supportsFormat": "own choice of types and formats",
    "getWorkspaceSize": "uses a workspace",
    "aliases": "shares memory between inputs and outputs",
    "rewrite": "rewrites the graph",
    "outputRange": "range rule for low precision",
    "inputQuantization": "quantises its constant inputs",
    "getOutputValue": "takes part in shape arithmetic",
    "exampleCases": "example cases for the conformance kit",
}


def show(out: TextIO, registry: Registry, description: PluginDescription) -> bool:
    """Print all that is known of a plug-in; False when it cannot be loaded."""
    print_heading(out, f"{description.name} ({description.kind})")
    origin = (
        f"{description.distribution} {description.version}"
        if description.distribution
        else "registered by hand"
    )
    rows = [
        ["from", origin],
        ["object", f"{description.module}:{description.object_name}"],
        ["state", description.state],
    ]
    if description.substitute:
        rows.append(["substituted by", description.substitute])
    try:
        found = registry.get(description.kind, description.name)
    except PluginError:
        now = registry.describe(description.kind, description.name)
        rows[2:] = [["state", now.state], ["reason", now.reason]]
        print_table(out, ("property", "value"), rows)
        return False
    document = inspect.getdoc(found) or ""
    if issubclass(found, LayerPlugin):
        rows += _layer_rows(found)
    elif issubclass(found, KernelPlugin):
        rows.append(["for layer", found.layer])
    elif issubclass(found, PassPlugin):
        rows.append(["stage", found.stage])
    print_table(out, ("property", "value"), rows)
    if document:
        print(f"\n{document}", file=out)
    schema = getattr(found, "schema", None)
    if isinstance(schema, Schema) and schema:
        print(file=out)
        print_table(out, ("attribute", "type", "default", "meaning"), _attribute_rows(schema))
    return True


def _layer_rows(layer: type[LayerPlugin]) -> list[list[str]]:
    recordable = "yes" if layer.recordable else "no: enqueue runs at every inference"
    rows = [
        ["inputs", ", ".join(layer.input_names) or "none"],
        ["version", f"{layer.version} (state version {layer.state_version})"],
        ["recordable", f"{recordable} on {', '.join(layer.devices)}" if layer.recordable
         else recordable],
    ]  # fmt: skip
    if layer.role:
        rows.append(["role", layer.role])
    if layer.acceptsPadded:
        rows.append(["data-dependent sizes", "accepted padded"])
    rows += [["capability", text] for text in capabilities(layer)]
    return rows


def capabilities(layer: type[LayerPlugin]) -> list[str]:
    """The optional parts of the contract that a layer class defines, in words."""
    return [
        text
        for name, text in _CAPABILITIES.items()
        if getattr(layer, name, None) is not getattr(LayerPlugin, name, None)
    ]


def _attribute_rows(schema: Schema) -> list[list[str]]:
    rows = []
    for name, declared in schema.items():
        meaning = declared.doc
        allowed = declared.rule or (
            ", ".join(map(_plain, declared.allowed)) if isinstance(declared.allowed, tuple) else ""
        )
        if allowed:
            meaning = f"{meaning} (allowed: {allowed})".strip()
        default = "required" if declared.required else _plain(declared.default)
        rows.append([name, declared.kind_name, default, meaning])
    return rows


def _plain(value: Any) -> str:
    return str(getattr(value, "value", value)) if not isinstance(value, str) else repr(value)
