"""Writing a Darknet model as Caffe's two files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from plugrt import Layer, ModelError, Network

from ..parsing import DarknetModel
from ..parsing.sections import DarknetLayer
from ..replacing import FileError, replacing
from .conversion import Conversion, NotExportableError
from .converters import converter_for
from .folding import fold_normalization
from .layers import CaffeLayer
from .messages import check_library, layer_as_bytes, layer_as_text, net_as_bytes, net_as_text

HEADS = frozenset({"Gaussian_yolo", "detection", "region", "yolo"})
"""Sections that end an export: what they do is no layer of Caffe's."""

LARGEST_FILE = (1 << 31) - 1
"""Bytes; the limit of protocol buffers."""


@dataclass
class ExportedModel:
    """What was written. `heads` are the names of the sections that are left out, with the
    blob that each reads."""

    prototxt: Path
    caffemodel: Path
    layers: int = 0
    heads: dict[str, str] = field(default_factory=dict)


@dataclass
class ExportedSection:
    """One section's layers, or for a head, which is left out, the blob that it reads."""

    section: DarknetLayer
    layers: Sequence[CaffeLayer] = ()
    head_input: str | None = None


def export_model(
    model: DarknetModel, network: Network, prefix: Path, *, fold: bool = False
) -> ExportedModel:
    """Write `prefix`.prototxt and `prefix`.caffemodel, both whole or neither.

    `network` is what DarknetParser makes of the model; `fold` takes batch normalization into
    the weights. Raises ModelError naming file, line and section for what Caffe's layers cannot
    form and for more than 2 GiB of weights, FileError where the files cannot be written, and
    MissingLibraryError without the library protobuf.
    """
    check_library()
    size = sum(t.value.nbytes for t in network.tensors.values() if t.value is not None)
    if size > LARGEST_FILE:
        raise ModelError(
            f"{model.path}: {size} bytes of weights are more than readers of Caffe's files take "
            f"({LARGEST_FILE}); cut the network with --cutoff"
        )
    result = ExportedModel(_suffixed(prefix, ".prototxt"), _suffixed(prefix, ".caffemodel"))
    with replacing(result.prototxt) as text, replacing(result.caffemodel) as weights:
        _write_head(text, weights, model, network, prefix.name)
        for exported in convert(model, network, fold=fold):
            if exported.head_input is not None:
                result.heads[exported.section.name] = exported.head_input
            result.layers += len(exported.layers)
            text.write(_comment(exported).encode())
            for layer in exported.layers:
                text.write(layer_as_text(layer).encode())
                weights.write(layer_as_bytes(layer))
    return result


def convert(
    model: DarknetModel, network: Network, *, fold: bool = False
) -> Iterator[ExportedSection]:
    """The sections one after the other. Raises ModelError for what Caffe's layers cannot
    form."""
    groups = groupby(network.layers, lambda layer: layer.name.partition(".")[0])
    sources = {name: list(layers) for name, layers in groups}
    blobs = {tensor.name: tensor.name for tensor in network.inputs}
    for section in model.layers:
        layers = sources.get(section.name, [])
        try:
            if section.names[0] in HEADS:
                yield ExportedSection(section, head_input=Conversion(layers[0], blobs).blob())
                continue
            converted = [found for layer in layers for found in _convert(layer, blobs)]
        except NotExportableError as reason:
            raise section.section.error(f"cannot be exported to Caffe: {reason}") from None
        yield ExportedSection(section, fold_normalization(converted) if fold else converted)


def _convert(layer: Layer, blobs: dict[str, str]) -> list[CaffeLayer]:
    conversion = Conversion(layer, blobs)
    result = converter_for(layer.plugin.type)(conversion)
    blobs[layer.output.name] = layer.name
    return conversion.finish(result)


def _write_head(
    text: BinaryIO, weights: BinaryIO, model: DarknetModel, network: Network, name: str
) -> None:
    frame = "fitted into a grey frame" if model.settings.letter_box else "stretched"
    text.write(
        f"# Darknet's {model.path.name}, written by plugrt-yolo export-caffe.\n"
        f"# The input holds values from 0 to 1, red first; pictures are {frame}.\n".encode()
    )
    text.write(net_as_text(name).encode())
    weights.write(net_as_bytes(name))
    for tensor in network.inputs:
        shape = {"dim": [1, *tensor.shape[1:]]}
        source = CaffeLayer(tensor.name, "Input", (), (tensor.name,), {"shape": [shape]})
        text.write(layer_as_text(source).encode())


def _comment(exported: ExportedSection) -> str:
    section = exported.section.section
    lines = [f"{exported.section.name}: [{section.name}], line {section.line}"]
    if exported.head_input is not None:
        lines[0] += f", is left out. It reads {exported.head_input}; its options:"
        lines += [f"  {name}={option.value}" for name, option in section.options.items()]
    elif not exported.layers:
        lines[0] += ", changes nothing"
    unread = _left_over(exported.layers)
    if unread:
        lines.append(f"  Nothing reads {' and '.join(unread)}.")
    return "".join(f"# {line}\n" for line in lines)


def _left_over(layers: Sequence[CaffeLayer]) -> list[str]:
    """What the Slices of a section write and nothing wants."""
    read = {bottom for layer in layers for bottom in layer.bottoms}
    return [
        top for layer in layers if layer.type == "Slice" for top in layer.tops if top not in read
    ]


def _suffixed(prefix: Path, suffix: str) -> Path:
    if not prefix.name:
        raise FileError(f"{prefix}: this is a folder; give the files a name in it")
    return prefix.with_name(prefix.name + suffix)
