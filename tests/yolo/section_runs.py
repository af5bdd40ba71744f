"""Running small definitions with made-up weights, for tests that know what must come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import plugrt
from plugrt.plugins import Array
from yolo_example.parsing import DarknetModel, DarknetParser, read_model
from yolo_example.parsing.random_weights import random_blobs

SEED = 4
IMAGES = 2
WriteCfg = Callable[[str], Path]


@dataclass
class SectionRun:
    """A definition and its values: `input` [N, C, H, W], `outputs` by index from a network that
    gives them all, the weights that were made up, by layer and name, and the `result` of a
    network that gives it alone, so that sections may be fused."""

    model: DarknetModel
    input: Array
    outputs: list[Array]
    blobs: list[dict[str, Array]]
    result: Array


def run_sections(
    write_cfg: WriteCfg,
    sections: str,
    *,
    net: str = "channels=4 height=9 width=12",
    batch_norm: str = "opencv",
    values: Array | None = None,
) -> SectionRun:
    """Sections separated by `|`, their options by blanks, behind [net], on two images of values of
    both signs, every section's result included."""
    text = ""
    for section in (f"net {net}", *sections.split("|")):
        name, *options = section.split()
        text += f"[{name}]\n" + "".join(f"{option}\n" for option in options)
    path = write_cfg(text)
    model = read_model(path, batch_norm=batch_norm)
    shape = model.settings.input
    sizes = (shape.channels,) if shape.flat else shape.dimensions
    if values is None:
        values = np.random.default_rng(SEED).normal(0.2, 1, (IMAGES, *sizes)).astype(np.float32)
    network = plugrt.Network()
    DarknetParser(random_weights=SEED, batch_norm=batch_norm).parse(path, None, network)
    result = next(iter(_execute(network, values).values()))
    # Now every section's; those that do nothing are no layers and stand for what they read.
    places = {-1: -1}
    for layer in model.layers:
        own = layer.name in network.tensors
        places[layer.index] = layer.index if own else places[layer.sources[0]]
    for place in set(places.values()) - {-1}:
        network.mark_output(network.tensors[model.layers[place].name], f"section{place}")
    found = _execute(network, values) | {"section-1": values}
    outputs = [found[f"section{places[layer.index]}"] for layer in model.layers]
    blobs = [blobs for _, blobs in random_blobs(model.layers, SEED)]
    return SectionRun(model, values, outputs, blobs, result)


def _execute(network: plugrt.Network, values: Array) -> dict[str, Array]:
    config = plugrt.BuilderConfig(tune="off")
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        results = context.execute({network.input_names[0]: values})
        return {name: np.array(array) for name, array in results.items()}


def assert_near(result: Array, expected: Array, tolerance: float = 2e-6) -> None:
    """Equal shapes, and values within `tolerance` of the largest."""
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def convolved(
    x: Array, weights: Array, *, strides: tuple[int, int] = (1, 1), padding: int = 0,
    dilation: int = 1, groups: int = 1,
) -> Array:  # fmt: skip
    """Convolution by its definition, one output pixel at a time, in float64."""
    images, channels, height, width = x.shape
    filters, per_group, size, _ = weights.shape
    padded = np.zeros((images, channels, height + 2 * padding, width + 2 * padding))
    padded[:, :, padding : padding + height, padding : padding + width] = x
    reach = dilation * (size - 1) + 1
    rows = (height + 2 * padding - reach) // strides[0] + 1
    columns = (width + 2 * padding - reach) // strides[1] + 1
    result = np.zeros((images, filters, rows, columns))
    for f in range(filters):
        first = f // (filters // groups) * per_group
        for i in range(rows):
            for j in range(columns):
                top, left = i * strides[0], j * strides[1]
                window = padded[
                    :, first : first + per_group, top : top + reach : dilation,
                    left : left + reach : dilation,
                ]  # fmt: skip
                result[:, f, i, j] = (window * weights[f]).sum(axis=(1, 2, 3))
    return result


def windows(
    x: Array, function: Callable[[Array], Array], *, size: int, strides: tuple[int, int],
    padding: int,
) -> Array:  # fmt: skip
    """Darknet's pooling: `function` of the pixels that each window has, [N, C, pixels] to [N, C].

    Windows begin padding / 2 before the input, rounded down.
    """
    images, channels, height, width = x.shape
    rows = (height + padding - size) // strides[0] + 1
    columns = (width + padding - size) // strides[1] + 1
    result = np.zeros((images, channels, rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * strides[0] - padding // 2, j * strides[1] - padding // 2
            window = x[:, :, max(top, 0) : top + size, max(left, 0) : left + size]
            result[:, :, i, j] = function(window.reshape(images, channels, -1))
    return result
