"""From a definition file to a list of layers with shapes, before any weights are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .cfg_reader import Section, read_cfg
from .option_reader import OptionReader
from .sections import COMMON_OPTIONS, SECTIONS, DarknetLayer
from .settings import NET_NAMES, NetSettings, TreeSettings, read_net_section

RECURRENT = "it keeps state from one input to the next, which is not implemented"
NOT_SUPPORTED: Mapping[str, str] = {
    "conv_lstm": RECURRENT,
    "crnn": RECURRENT,
    "deconv": "transposed convolution is not implemented",
    "deconvolutional": "transposed convolution is not implemented",
    "gru": RECURRENT,
    "history": RECURRENT,
    "iseg": "instance segmentation is not implemented",
    "local": "convolution with weights of their own at every pixel is not implemented",
    "lstm": RECURRENT,
    "rnn": RECURRENT,
}
"""Sections that Darknet or its fork knows and this parser does not, and why."""


@dataclass
class DarknetModel:
    """A network without weights. `notes` are remarks for the user."""

    path: Path
    settings: NetSettings
    layers: list[DarknetLayer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_model(
    path: Path,
    *,
    batch_norm: str = "opencv",
    class_names: tuple[str, ...] = (),
    cutoff: int = 0,
    trees: TreeSettings | None = None,
) -> DarknetModel:
    """The layers of a definition; with `cutoff`, the first ones only.

    Other files that sections name are read by the layers' `read_files`.

    Raises ModelError naming file, line and section.
    """
    net, *sections = read_cfg(path)
    settings, notes = read_net_section(net, batch_norm, class_names)
    trees = trees or settings.trees
    settings = replace(settings, trees=trees)
    model = DarknetModel(path, settings, notes=notes)
    if not sections:
        raise net.error("no layers follow; add sections such as [convolutional]")
    if cutoff > len(sections):
        raise net.error(
            f"--cutoff {cutoff} is more than the {len(sections)} layers; give 1 to {len(sections)}"
        )
    sections = sections[: cutoff or None]
    if (trees.tree or trees.class_map) and not any("tree" in s.options for s in sections):
        raise net.error(
            "no layer has a tree of classes (tree=FILE), which --tree and --map are for; "
            "leave them out"
        )
    for section in sections:
        options = OptionReader(section)
        layer = _layer_class(section)(options, model.layers, settings)
        model.layers.append(layer)
        model.notes += options.unread(layer.ignored | COMMON_OPTIONS)
    return model


def _layer_class(section: Section) -> type[DarknetLayer]:
    found = SECTIONS.get(section.name)
    if found is not None:
        return found
    if section.name in NET_NAMES:
        raise section.error("is given again; a definition has one [net], the first section")
    reason = NOT_SUPPORTED.get(section.name)
    known = f"is not supported: {reason}" if reason else "is unknown"
    supported = ", ".join(sorted({layer.names[0] for layer in SECTIONS.values()}, key=str.lower))
    raise section.error(f"{known}; supported sections: {supported}")
