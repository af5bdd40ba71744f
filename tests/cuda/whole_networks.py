"""Whole networks for the CUDA device: those of the benchmarks, sections of Darknet, and small
copies of definitions, all with made-up weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import plugrt
from benchmarks.nets import NETS, Recipe
from benchmarks.nets.narrow import narrow
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt import BuilderConfig, Network
from plugrt.plugins import Array
from tests.yolo.reference_darknet.definitions import TREE, written
from tests.yolo.section_cases import FIRST, FORK, FORK_NET, RARE
from yolo_example.parsing import DarknetParser, read_model

IMAGES = 3
EVEN_SIDES = {"lenet": (28, 28)}
"""Networks that take one size only; the others take EVERYWHERE."""
EVERYWHERE = (64, 96)
ODD = (71, 93)
TAKE_ODD = ("mobilenetv2", "squeezenet1.1", "googlenet", "resnet50")
"""Networks that join no maps of different steps."""

SECTIONS: Mapping[str, str] = {
    **{f"first Darknet: {name}": written(text, **options)
       for name, (text, options) in FIRST.items()},
    **{f"fork: {name}": written(text, FORK_NET) for name, text in FORK.items()},
    **{f"rare: {name}": written(text, FORK_NET) for name, text in RARE.items()},
}  # fmt: skip
"""Definitions by name; even maps for the fork's, odd ones for the first Darknet's."""


def benchmark(name: str, sides: tuple[int, int] | None = None) -> Network:
    """A network of the benchmarks, for images of this height and width and any number of them."""
    recipe: Recipe = narrow(NETS[name]())
    recipe.input_shape = (recipe.input_shape[0], *(sides or EVEN_SIDES.get(name, EVERYWHERE)))
    return to_plugrt(recipe)


def sections(name: str, folder: Path) -> Network:
    """A definition of SECTIONS, written to a folder."""
    (folder / "small.tree").write_text(TREE, encoding="utf-8")
    cfg = folder / "net.cfg"
    cfg.write_text(SECTIONS[name], encoding="utf-8")
    return definition(cfg, "darknet" if name.startswith("first") else "opencv")


def definition(cfg: Path, batch_norm: str = "opencv") -> Network:
    """A definition whose outputs are its heads and what they are made of: probabilities of many
    classes are alike whatever came before."""
    network = Network(cfg.stem)
    DarknetParser(random_weights=1, batch_norm=batch_norm).parse(cfg, None, network)
    model = read_model(cfg, batch_norm=batch_norm)
    names = {layer.index: layer.name for layer in model.layers}
    heads = [layer for layer in model.layers if layer.is_output] or model.layers[-1:]
    for source in sorted({index for head in heads for index in head.sources}):
        name = names.get(source, "")
        if name in network.tensors and name not in network.output_names:
            network.mark_output(network.tensors[name])
    return network


def images(network: Network, count: int = IMAGES) -> dict[str, Array]:
    """Random input in [0, 1)."""
    (given,) = network.inputs
    sizes = [int(size) for size in given.desc.shape[1:]]
    return {given.name: np.random.default_rng(7).random((count, *sizes), np.float32)}


def settings(device: str, precision: str = "fp32", **options: Any) -> BuilderConfig:
    """A build by rules."""
    return BuilderConfig(
        device=device, precision=precision, **{"tune": "off", "threads": 1, **options}
    )


def on_cpu(network: Network, given: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs in float32 of an engine for the CPU."""
    with plugrt.build(network, settings("cpu")) as engine, engine.create_context() as context:
        return {name: np.array(array) for name, array in context.execute(dict(given)).items()}


def host_layers(engine: plugrt.Engine) -> list[str]:
    """What the report says of layers that run beside the GPU."""
    return [line for line in engine.report if "runs on the host" in line]


def distance(found: Array, wanted: Array) -> float:
    """The norm of the difference relative to that of what is wanted; infinite for other shapes
    or where a number is missing."""
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    scale = float(np.linalg.norm(wanted.astype(np.float64)))
    return float(np.linalg.norm(found.astype(np.float64) - wanted)) / (scale or 1.0)


def deviations(
    make: Callable[[], Network], precisions: Mapping[str, float], device: str = "cuda",
    most: int = IMAGES,
) -> list[str]:  # fmt: skip
    """What is wrong with engines of these precisions for a device, beside one for the CPU: layers
    that run on the host, and outputs beyond the precision's distance, for one and `most`
    images."""
    network = make()
    given = images(network, most)
    wanted = on_cpu(network, given)
    wrong: list[str] = []
    for precision, allowed in precisions.items():
        with (
            plugrt.build(make(), settings(device, precision)) as engine,
            engine.create_context() as context,
        ):
            wrong += host_layers(engine)
            for count in sorted({most} if precision == "best" else {1, most}):
                some = {name: array[:count] for name, array in given.items()}
                for name, found in context.execute(some).items():
                    far = distance(np.asarray(found), wanted[name][:count])
                    if not far <= allowed:
                        wrong.append(f"{precision}, {count} images: {name} is off by {far:.2e}")
    return wrong
