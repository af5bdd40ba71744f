"""Convolutions and other products by our own CUDA kernels, as rows of `cuda_kernels`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from plugrt.builtin_layers.convolution import (
    Convolution,
    candidates_cuda,
    depthwise_cuda,
    shallow_cuda,
)
from plugrt.builtin_layers.convolution.problem import ConvolutionProblem
from plugrt.builtin_layers.fully_connected import FullyConnected
from plugrt.builtin_layers.separable_convolution import SeparableConvolution, steps_cuda
from plugrt.plugins import (
    DataType,
    Epilogue,
    Format,
    KernelPlugin,
    LayerPlugin,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
)

LINEAR, LAST = Format.LINEAR, Format.CHANNELS_LAST
HALF, FLOAT = DataType.FLOAT16, DataType.FLOAT32

Row = tuple[str, LayerPlugin, tuple[int, ...], TensorDesc, TensorDesc, Any, tuple[Any, ...]]
"""Name, layer, shape, source, output (shape filled in later), record, further arrays."""


class OwnTactic(KernelPlugin):
    """The first way of a layer's own whose name begins so."""

    name = "benchmark"
    layer = "any"

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def getTactics(self, layer: LayerPlugin, request: Any) -> Sequence[Tactic]:
        found = layer.getTactics(request)
        return [tactic for tactic in found if tactic.name.startswith(self._prefix)][:1]

    def getWorkspaceSize(
        self, layer: LayerPlugin, inputs: Sequence[Any], outputs: Sequence[Any]
    ) -> int:
        self._choose(layer, inputs, outputs)
        return layer.getWorkspaceSize(inputs, outputs)

    def enqueue(
        self, layer: LayerPlugin, inputs: Sequence[Any], outputs: Sequence[Any],
        workspace: Any, stream: Stream,
    ) -> None:
        self._choose(layer, [v.desc for v in inputs], [v.desc for v in outputs])
        layer.enqueue(inputs, outputs, workspace, stream)

    def _choose(self, layer: LayerPlugin, inputs: Any, outputs: Any) -> None:
        request = TacticRequest(tuple(inputs), tuple(outputs), device="cuda")
        found = self.getTactics(layer, request)
        if not found:
            raise SystemExit(f"{layer.type} has no tactic {self._prefix}... for {inputs[0]}")
        layer.setTactic(found[0])


def product_rows() -> Iterator[Row]:
    """What is measured of them."""
    yield from depthwise_rows()
    yield from first_layer_rows()
    yield from tile_rows()
    yield from separable_rows()
    yield from connected_rows()


def depthwise_rows() -> Iterator[Row]:
    """Depthwise convolutions of mobilenetv2."""
    rng = np.random.default_rng(2)
    for batch, channels, size, step in (
        (128, 32, 112, 1), (128, 96, 112, 2), (128, 144, 56, 1), (128, 384, 14, 1),
        (128, 960, 7, 1), (1, 144, 56, 1), (1, 576, 14, 1),
    ):  # fmt: skip
        shape = (batch, channels, size, size)
        layer = Convolution(groups=channels, strides=(step, step), padding=(1,) * 4)
        arrays = (
            rng.standard_normal((channels, 1, 3, 3), np.float32).astype(np.float16),
            rng.standard_normal(channels, np.float32),
        )
        desc = TensorDesc(HALF, shape, LAST)
        for run, tile in depthwise_cuda.SHARES:
            name = f"depthwise {batch}x{channels}x{size}/{step} share {run}x{tile}"
            yield name, layer, shape, desc, desc, convolve(f"cuda:depthwise:{run}x{tile}"), arrays


def first_layer_rows() -> Iterator[Row]:
    """Convolutions of images."""
    rng = np.random.default_rng(2)
    for name, shape, outputs, side, step in (
        ("resnet stem", (128, 3, 224, 224), 64, 7, 2), ("resnet stem", (1, 3, 224, 224), 64, 7, 2),
        ("yolov3 first", (32, 3, 416, 416), 32, 3, 1), ("tiny first", (32, 3, 416, 416), 16, 3, 1),
        ("mobilenet first", (128, 3, 224, 224), 32, 3, 2),
    ):  # fmt: skip
        layer = Convolution(strides=(step, step), padding=(side // 2,) * 4)
        arrays = (
            rng.standard_normal((outputs, 3, side, side), np.float32).astype(np.float16),
            rng.standard_normal(outputs, np.float32),
        )
        window = layer.window(arrays[0].shape)
        for share in shallow_cuda.shares_for(outputs, 3, window):
            yield (f"{name} x{shape[0]}, {share.name}", layer, shape, TensorDesc(FLOAT, shape),
                   TensorDesc(HALF, shape, LAST), convolve(shallow_cuda.PREFIX + share.name),
                   arrays)  # fmt: skip


def convolve(tactic: str) -> Any:
    """A recording function for a convolution by this tactic."""

    def record(layer: Any, inputs: Any, output: Any, stream: Any) -> None:
        descs = tuple(view.desc for view in inputs)
        problem = ConvolutionProblem(
            descs, descs[0], descs[1], descs[2], output.desc, layer.window(descs[1].shape),
            layer.groups, Epilogue(), 1,
        )  # fmt: skip
        (found,) = candidates_cuda.candidates(problem, tactic)
        found.record(stream, inputs, output, None)

    return record


def tile_rows() -> Iterator[Row]:
    """Convolutions by our own tiles, the best ones that were seen on an H200."""
    rng = np.random.default_rng(3)
    for shape, outputs, side, step, tile in (
        ((1, 384, 14, 14), 96, 1, 1, "16x32x128-1x1x4-4"),
        ((1, 960, 7, 7), 320, 1, 1, "16x16x128-1x1x8-4"),
        ((1, 144, 56, 56), 24, 1, 1, "32x32x64-2x1x2-8"),
        ((1, 256, 14, 14), 256, 3, 1, "32x64x128-1x2x2-4-4"),
        ((1, 512, 7, 7), 512, 3, 1, "32x64x128-1x2x2-4-4"),
        ((1, 512, 13, 13), 1024, 3, 1, "32x64x128-1x2x2-4-2"),
        ((128, 256, 56, 56), 512, 1, 2, "128x128x64-2x4x1-3"),
        ((32, 64, 208, 208), 32, 1, 1, "64x32x64-2x1x2-4"),
    ):  # fmt: skip
        layer = Convolution(strides=(step, step), padding=(side // 2,) * 4)
        arrays = (
            rng.standard_normal((outputs, shape[1], side, side), np.float32).astype(np.float16),
            rng.standard_normal(outputs, np.float32),
        )
        desc = TensorDesc(HALF, shape, LAST)
        name = f"tile {shape[0]}x{shape[1]}x{shape[2]} to {outputs} {side}x{side}/{step}"
        yield name, layer, shape, desc, desc, convolve(f"cuda:tiles:{tile}"), arrays


def separable_rows() -> Iterator[Row]:
    """What follows the expansions of mobilenetv2."""
    rng = np.random.default_rng(4)
    for batch, channels, size, step, outputs in (
        (128, 32, 112, 1, 16), (128, 96, 112, 2, 24), (128, 144, 56, 1, 24),
        (128, 192, 28, 1, 32), (128, 576, 14, 1, 96), (128, 960, 7, 1, 160),
        (1, 144, 56, 1, 24), (1, 576, 14, 1, 96),
    ):  # fmt: skip
        shape = (batch, channels, size, size)
        layer = SeparableConvolution(
            strides=(step, step), padding=(1,) * 4, depthwise_activation=(1.0, 0.0, 6.0)
        )
        arrays = (
            rng.standard_normal((channels, 1, 3, 3), np.float32).astype(np.float16),
            rng.standard_normal(channels, np.float32),
            rng.standard_normal((outputs, channels, 1, 1), np.float32).astype(np.float16),
            rng.standard_normal(outputs, np.float32),
        )
        desc = TensorDesc(HALF, shape, LAST)
        name = f"separable {batch}x{channels}x{size}/{step} to {outputs}"
        yield name, layer, shape, desc, desc, OwnTactic(steps_cuda.NAME), arrays


def connected_rows() -> Iterator[Row]:
    """Classifiers, by our own tiles and by cuBLASLt."""
    rng = np.random.default_rng(5)
    for batch, depth, result in product((1, 32, 128), (1280, 2048), (HALF, FLOAT)):
        shape = (batch, depth)
        arrays = (
            rng.standard_normal((1000, depth), np.float32).astype(np.float16),
            rng.standard_normal(1000, np.float32),
        )
        for prefix in ("cuda:tiles:", "cuda:cublaslt:") if result is HALF else ("cuda:tiles:",):
            name = f"connected {batch}x{depth} to 1000 {result.value} {prefix}"
            yield (name, FullyConnected(), shape, TensorDesc(HALF, shape),
                   TensorDesc(result, shape), OwnTactic(prefix), arrays)  # fmt: skip
