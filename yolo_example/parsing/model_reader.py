"""From a definition file to a list of layers with shapes, before any weights are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .cfg_reader import Section, read_cfg
from .option_reader import OptionReader
from .sections import SECTIONS, DarknetLayer
from .settings import NET_NAMES, NetSettings, read_net_section

NOT_SUPPORTED = frozenset({
    "Gaussian_yolo", "contrastive", "conv_lstm", "crnn", "crop", "deconv", "deconvolutional",
    "detection", "empty", "gru", "history", "implicit", "iseg", "l2norm", "local", "local_avg",
    "local_avgpool", "logistic", "logxent", "lrn", "lstm", "normalization", "rnn", "silence",
})  # fmt: skip
"""Sections that Darknet or its fork knows and this parser does not."""


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
) -> DarknetModel:
    """The layers of a definition; with `cutoff`, the first ones only.

    Raises ModelError naming file, line and section.
    """
    net, *sections = read_cfg(path)
    settings, notes = read_net_section(net, batch_norm, class_names)
    model = DarknetModel(path, settings, notes=notes)
    if not sections:
        raise net.error("no layers follow; add sections such as [convolutional]")
    if cutoff > len(sections):
        raise net.error(
            f"--cutoff {cutoff} is more than the {len(sections)} layers; give 1 to {len(sections)}"
        )
    for section in sections[: cutoff or None]:
        options = OptionReader(section)
        layer = _layer_class(section)(options, model.layers, settings)
        model.layers.append(layer)
        model.notes += options.unread(layer.ignored)
    return model


def _layer_class(section: Section) -> type[DarknetLayer]:
    found = SECTIONS.get(section.name)
    if found is not None:
        return found
    if section.name in NET_NAMES:
        raise section.error("is given again; a definition has one [net], the first section")
    known = "is not supported" if section.name in NOT_SUPPORTED else "is unknown"
    supported = ", ".join(sorted({layer.names[0] for layer in SECTIONS.values()}))
    raise section.error(f"{known}; supported sections: {supported}")
