"""1x1 convolution of channels-last tensors by our own C kernel in float32 and bfloat16 (product.h).

For few channels, where a library's kernel spends more on the call than on the product, and for
slices of larger tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...plugins import BLOCK, Array, DataType, Format, TensorDesc, TensorView
from .block_epilogue import OPERANDS
from .block_kernel import BlockKernel, has_float32_bias, multiplies_pairs
from .problem import ConvolutionProblem

PLAIN = "product"
PAIRS = "product:pairs"
NAMES = (PLAIN, PAIRS)

PANEL = 64
"""PRODUCT_PANEL."""

LEAST_POINTS = 24
"""Of a task: fewer would leave steps half empty."""

TASK_BYTES = 131072
"""Of input that a task reads once for each panel of weights: it stays in the second-level cache."""


class Product(BlockKernel):
    """The loops of product_row.h."""

    kernel = "plugrt_convolution_product"
    layout = "iii" + "iii" + "ii" + "qq"
    sums = True

    @staticmethod
    def names(problem: ConvolutionProblem) -> Sequence[str]:
        """In pairs where the processor multiplies pairs."""
        if not _fits(problem):
            return ()
        narrow = problem.source.dtype is DataType.BFLOAT16
        in_pairs = narrow and problem.source.sizes[1] % 2 == 0 and multiplies_pairs()
        return (PAIRS,) if in_pairs else (PLAIN,)

    def pack(self, weights: Array) -> Array:
        matrix = weights.reshape(weights.shape[:2])
        return pack_pairs(matrix) if self.tactic.name == PAIRS else pack(matrix)

    def arguments(self, source: TensorView, output: TensorView) -> Sequence[Any]:
        narrow, narrows = (view.dtype is DataType.BFLOAT16 for view in (source, output))
        shares_outputs = _shares_outputs(self._problem)
        return (
            int(narrow), int(self.tactic.name == PAIRS), int(narrows),
            _points(source.desc), source.shape[1], output.shape[1],
            points_per_task(self._problem), int(shares_outputs),
            source.desc.element_strides[3], output.desc.element_strides[3],
        )  # fmt: skip


candidates = Product.candidates


def points_per_task(problem: ConvolutionProblem) -> int:
    """How many points one task computes: as many as the caches hold, and so that threads have
    equally much to do."""
    points = _points(problem.source)
    most = max(TASK_BYTES // (problem.source.sizes[1] * problem.source.dtype.itemsize), 1)
    rounds = -(-points // (most * problem.threads))
    return max(-(-points // (rounds * problem.threads)), LEAST_POINTS)


def pack(weights: Array) -> Array:
    """[M, C] -> panels of 64 output channels (whole blocks of 16 at the end), each [C, width], one
    behind the other; float32."""
    return _panels(weights.T.astype(np.float32)[..., None])


def pack_pairs(weights: Array) -> Array:
    """[M, C] -> panels as `pack`'s, each [C / 2, width, 2], as bits of bfloat16."""
    outputs = len(weights)
    pairs = weights.astype(DataType.BFLOAT16.numpy).view(np.uint16).reshape(outputs, -1, 2)
    return _panels(np.ascontiguousarray(pairs.transpose(1, 0, 2)))


def _panels(rows: Array) -> Array:
    """[rows, M, k] cut into panels along M, one behind the other."""
    count, outputs, depth = rows.shape
    padded = np.zeros((count, -(-outputs // BLOCK) * BLOCK, depth), rows.dtype)
    padded[:, :outputs] = rows
    starts = range(0, padded.shape[1], PANEL)
    return np.concatenate([padded[:, start : start + PANEL].ravel() for start in starts])


def _points(desc: TensorDesc) -> int:
    batch, _, height, width = desc.sizes
    return batch * height * width


def _shares_outputs(problem: ConvolutionProblem) -> bool:
    """Whether each thread reads its part of the weights: where these are more than the input."""
    return problem.weights.nbytes > problem.source.nbytes


def _fits(problem: ConvolutionProblem) -> bool:
    source, output = problem.source, problem.output
    kinds = (source.dtype, problem.weights.dtype, output.dtype)
    wide, narrow = DataType.FLOAT32, DataType.BFLOAT16
    return (
        kinds in ((wide, wide, wide), (narrow, narrow, narrow), (narrow, narrow, wide))
        and has_float32_bias(problem)
        and not any(d.quantization for d in (source, problem.weights, output))
        and problem.weights.is_constant
        and problem.groups == 1
        and source.rank == 4
        and problem.window.covers_one_element
        and problem.has_formats(Format.CHANNELS_LAST, Format.CHANNELS_LAST)
        and 0 not in (*source.sizes, *output.sizes)
        and all(is_evenly_spaced(desc) for desc in _images(problem))
    )


def _images(problem: ConvolutionProblem) -> list[TensorDesc]:
    operands = problem.inputs[len(problem.inputs) - problem.epilogue.operands :]
    shaped = [d for d in operands[:OPERANDS] if d is not None and d.rank == problem.output.rank]
    return [problem.source, problem.output, *shaped]


def is_evenly_spaced(desc: TensorDesc) -> bool:
    """Whether the points of all images lie at equal distances, one behind the other."""
    batch, _, height, width = desc.sizes
    per_image, _, per_row, per_pixel = desc.element_strides
    return (height == 1 or per_row == width * per_pixel) and (
        batch == 1 or per_image == height * width * per_pixel
    )
