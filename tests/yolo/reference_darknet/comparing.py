"""Running definitions in plugrt, and telling how far its values are from a judge's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

import plugrt
from plugrt.plugins import Array
from yolo_example.parsing import DarknetModel, DarknetParser

TOLERANCE = 1e-4
NO_VALUES = ("cost", "contrastive")
"""Sections that hold a loss: what Darknet keeps for them means nothing at inference."""


def random_picture(model: DarknetModel, seed: int = 7) -> Array:
    """A network's input: float32 in [0, 1], [channels, height, width] or flat."""
    shape = model.settings.input
    sizes = (shape.channels,) if shape.flat else (shape.channels, shape.height, shape.width)
    return np.random.default_rng(seed).random(sizes, np.float32)


def parse(cfg: Path, weights: Path, batch_norm: str, cutoff: int = 0) -> plugrt.Network:
    """The model as a network; with `cutoff` its first layers only."""
    network = plugrt.Network()
    DarknetParser(batch_norm=batch_norm, cutoff=cutoff).parse(cfg, weights, network)
    return network


def run(
    network: plugrt.Network, model: DarknetModel, picture: Array, *, every_section: bool = False
) -> dict[int, Array]:
    """plugrt's values of `every_section` by Darknet's index; by default of the heads and of what
    they are made of, since probabilities of many classes are alike whatever came before, or of
    the last section. Sections of NO_VALUES are left out. Marks outputs of `network`."""
    # A section that does nothing at inference is no layer: it stands for the one that it reads.
    places: dict[int, int] = {}
    for layer in model.layers:
        own = layer.name in network.tensors
        places[layer.index] = layer.index if own else places.get(layer.sources[0], -1)
    heads = [layer for layer in model.layers if layer.is_output] or model.layers[-1:]
    indices = {h.index for h in heads} | {index for h in heads for index in h.sources}
    wanted = [
        layer.index
        for layer in model.layers
        if (every_section or layer.index in indices)
        and places[layer.index] >= 0
        and layer.section.name not in NO_VALUES
    ]
    for place in {places[index] for index in wanted}:
        name = model.layers[place].name
        if name not in network.output_names:
            network.mark_output(network.tensors[name])
    config = plugrt.BuilderConfig(tune="off")
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        results = context.execute({network.inputs[0].name: picture[np.newaxis]})
    return {index: results[model.layers[places[index]].name][0] for index in wanted}


def assert_close(ours: Mapping[int, Array], judges: Mapping[int, Array]) -> None:
    """Every value of `ours` is within TOLERANCE of the judge's, in norm."""
    assert ours
    distances = {index: relative_distance(ours[index], judges[index]) for index in sorted(ours)}
    assert {i: d for i, d in distances.items() if not d <= TOLERANCE} == {}


def relative_distance(value: Array, expected: Array) -> float:
    """The norm of the difference relative to that of the expected values, which may have another
    shape but are as many."""
    assert value.size == expected.size
    assert np.any(expected)
    difference = np.linalg.norm(value.ravel().astype(float) - expected.ravel())
    return float(difference / np.linalg.norm(expected.astype(float)))
