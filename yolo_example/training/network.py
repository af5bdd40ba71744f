"""A Darknet definition as a PyTorch network, and its weights as Darknet's file.

It stands on PyTorch alone, so that training runs where plugrt is not installed. The sections
are those that `model/street.cfg` uses; others raise ValueError.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

EPSILON = 1e-6
"""Below the root, as plugrt's parser and OpenCV have it."""

SLOPE = 0.1
VERSION = (0, 2, 5)

Options = dict[str, str]


@dataclass(frozen=True)
class Head:
    """A [yolo] section: its anchors [count, 2] in pixels of the input, and its cell's size."""

    layer: int
    anchors: Tensor
    stride: int
    scale: float


class DarknetNetwork:
    """Layers in the order of the definition. `module` holds the parameters."""

    def __init__(self, path: Path) -> None:
        (_, net), *self.sections = read_sections(path)
        self.width, self.height = int(net["width"]), int(net["height"])
        self.classes = 0
        self.heads: list[Head] = []
        channels, strides = [int(net["channels"])], [1]
        layers: list[nn.Module] = []
        for index, (name, options) in enumerate(self.sections):
            module, out, stride = self._layer(name, options, index, channels, strides)
            layers.append(module)
            channels.append(out)
            strides.append(stride)
        self.module = nn.ModuleList(layers)

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """The heads' raw values, [N, anchors * (5 + classes), height, width] each."""
        results: list[Tensor] = []
        outputs: list[Tensor] = []
        x = pictures
        for (name, options), layer in zip(self.sections, self.module, strict=True):
            if name == "route":
                x = torch.cat([results[k] for k in _sources(options, len(results))], 1)
            elif name == "shortcut":
                x = x + results[len(results) + int(options["from"])]
            elif name == "yolo":
                outputs.append(x)
            else:
                x = layer(x)
            results.append(x)
        return outputs

    def save(self, path: Path, seen: int) -> None:
        """Write the weights: header, then for each convolution biases, the three arrays of
        batch normalization, and the filters."""
        with path.open("wb") as file:
            file.write(struct.pack("<iiiQ", *VERSION, seen))
            for module in self.module:
                if isinstance(module, nn.Sequential):
                    for tensor in _in_file_order(module):
                        file.write(tensor.detach().float().cpu().numpy().astype("<f4").tobytes())

    def _layer(
        self, name: str, options: Options, index: int, channels: list[int], strides: list[int]
    ) -> tuple[nn.Module, int, int]:
        """The module, its output's channels, and the input's pixels per cell."""
        source, stride = channels[-1], strides[-1]
        if name == "convolutional":
            step = int(options.get("stride", "1"))
            return _convolution(source, options), int(options["filters"]), stride * step
        if name == "maxpool":
            size = int(options["size"])
            if int(options["stride"]) != 1 or size % 2 == 0:
                raise ValueError("only odd maxpool windows of stride 1 are trained")
            return nn.MaxPool2d(size, 1, size // 2), source, stride
        if name == "upsample":
            return nn.Upsample(scale_factor=2), source, stride // 2
        if name == "route":
            sources = _sources(options, index)
            return nn.Identity(), sum(channels[k + 1] for k in sources), strides[sources[0] + 1]
        if name == "shortcut":
            return nn.Identity(), source, stride
        if name == "yolo":
            self.classes = int(options["classes"])
            sizes = torch.tensor(_numbers(options["anchors"])).reshape(-1, 2)
            mask = [int(k) for k in _numbers(options["mask"])]
            scale = float(options.get("scale_x_y", "1"))
            self.heads.append(Head(index, sizes[mask], stride, scale))
            return nn.Identity(), source, stride
        raise ValueError(f"[{name}] is not trained by this script")


def read_sections(path: Path) -> list[tuple[str, Options]]:
    """Name and options of every section, [net] first."""
    sections: list[tuple[str, Options]] = []
    for raw in path.read_text(encoding="utf-8").splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("["):
            sections.append((line.strip("[]"), {}))
        elif line:
            key, _, value = line.partition("=")
            sections[-1][1][key.strip()] = value.strip()
    return sections


def _convolution(source: int, options: Options) -> nn.Sequential:
    filters, size = int(options["filters"]), int(options["size"])
    normalized = options.get("batch_normalize") == "1"
    convolution = nn.Conv2d(
        source, filters, size, int(options.get("stride", "1")), size // 2,
        groups=int(options.get("groups", "1")), bias=not normalized,
    )  # fmt: skip
    modules: list[nn.Module] = [convolution]
    if normalized:
        modules.append(nn.BatchNorm2d(filters, eps=EPSILON, momentum=0.03))
    if options["activation"] == "leaky":
        modules.append(nn.LeakyReLU(SLOPE, inplace=True))
    elif options["activation"] != "linear":
        raise ValueError(f"activation={options['activation']} is not trained by this script")
    return nn.Sequential(*modules)


def _in_file_order(block: nn.Sequential) -> list[Tensor]:
    convolution = block[0]
    if len(block) > 1 and isinstance(block[1], nn.BatchNorm2d):
        norm = block[1]
        return [norm.bias, norm.weight, norm.running_mean, norm.running_var, convolution.weight]
    return [convolution.bias, convolution.weight]


def _sources(options: Options, index: int) -> list[int]:
    values = (int(k) for k in _numbers(options["layers"]))
    return [index + k if k < 0 else k for k in values]


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]
