"""Heads of detectors as texts, so that another layer can have them for an attribute."""

from __future__ import annotations

import json

from plugrt.plugins import LayerAttributeError, LayerPlugin

from .anchor_layer import AnchorLayer
from .region import Region
from .yolo import Yolo

KINDS: dict[str, type[AnchorLayer]] = {kind.type: kind for kind in (Region, Yolo)}
"""Heads whose boxes the layer Darknet.Boxes finds."""

FOR_PEOPLE = ("names",)
"""Attributes that mean nothing to the values."""


def unsupported(layer: LayerPlugin) -> str | None:
    """Why the layer Darknet.Boxes cannot find a layer's boxes; None where it can."""
    if not isinstance(layer, AnchorLayer) or type(layer) not in KINDS.values():
        return f"{layer.type} is none of {', '.join(KINDS)}"
    if layer.native_tree() is not None:
        return f"the classes of this {layer.type} form a tree"
    return None


def describe_head(layer: AnchorLayer) -> str:
    """The head as a text. Raises LayerAttributeError for one that `unsupported` refuses."""
    reason = unsupported(layer)
    if reason is not None:
        raise LayerAttributeError(f"{layer.type} cannot be described: {reason}")
    values = {
        name: value for name, value in layer.attribute_values.items()
        if name not in FOR_PEOPLE and value != layer.schema[name].default
    }  # fmt: skip
    return json.dumps({"type": layer.type, **values}, sort_keys=True)


def described_head(owner: str, text: str) -> AnchorLayer:
    """The head that `describe_head` described. Raises LayerAttributeError, naming the layer
    `owner`, for any other text."""
    try:
        values = json.loads(text)
        kind = KINDS[values.pop("type")]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LayerAttributeError(
            f"{owner}: attribute heads has {text!r}, which describes none of {', '.join(KINDS)}; "
            "use describe_head(layer)"
        ) from None
    layer = kind(**values)
    reason = unsupported(layer)
    if reason is not None:
        raise LayerAttributeError(f"{owner}: attribute heads: {reason}")
    return layer
