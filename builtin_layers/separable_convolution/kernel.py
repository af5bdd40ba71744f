"""The C kernel of separable convolutions (separable.c) in float32 and bfloat16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from ...plugins import (
    Array,
    DataType,
    DeviceError,
    Epilogue,
    Format,
    Stream,
    Tactic,
    TensorDesc,
    TensorView,
)
from .. import kernels
from ..activation import LEAKY, Activation
from ..convolution import block_epilogue as epilogues
from ..convolution import depthwise_kernel, product_kernel
from ..convolution.block_epilogue import BlockEpilogue, block_epilogue
from ..convolution.block_kernel import multiplies_pairs
from ..convolution.problem import constant_weights
from ..sliding_window import SlidingWindow
from ..workspace import aligned

NAME = "bands"

LAYOUT = "T" * 9 + "iiii" + "i3i" + "2i2i" + "2i2i2i" + "i" + "3q3q" + "qq" + "i3fi3f"
"""struct separable_arguments in separable.c, up to the epilogue."""

BUFFER_BYTES = 262144
"""About what the expanded rows of a band may take: with the rest they stay in a second-level cache
of 512 KB."""


@dataclass(frozen=True)
class Problem:
    """A separable convolution with everything concrete.

    `inputs` are input, depthwise weights and bias, weights and bias, perhaps expansion weights and
    bias, then the epilogue's operands.
    """

    inputs: tuple[TensorDesc | None, ...]
    output: TensorDesc
    window: SlidingWindow
    expansion: Activation
    filter: Activation
    epilogue: Epilogue

    @property
    def source(self) -> TensorDesc:
        """The input."""
        return _present(self.inputs[0])

    @property
    def expands(self) -> bool:
        """Whether there is a first 1x1 convolution."""
        return self.inputs[5] is not None

    @property
    def between(self) -> int:
        """Channels of the depthwise convolution."""
        return _present(self.inputs[1]).sizes[0]

    @property
    def band_rows(self) -> int:
        """Rows of outputs that are computed at a time."""
        row_bytes = self.source.sizes[3] * self.between * self.source.dtype.itemsize
        seen = max(BUFFER_BYTES // row_bytes - self.window.kernel[0], 0)
        return min(max(seen // self.window.strides[0], 1), self.output.sizes[2])

    @property
    def buffers(self) -> tuple[int, int]:
        """Bytes of a thread's expanded rows and of its filtered rows."""
        point = self.between * self.source.dtype.itemsize
        rows = (self.band_rows - 1) * self.window.strides[0] + self.window.kernel[0]
        expanded = rows * self.source.sizes[3] * point if self.expands else 0
        return aligned(expanded), aligned(self.band_rows * self.output.sizes[3] * point)

    @property
    def in_pairs(self) -> bool:
        """Whether products are of pairs of bfloat16 values."""
        return self.source.dtype is DataType.BFLOAT16


def tactic(problem: Problem) -> Tactic | None:
    """How the kernel computes the problem; None where it does not."""
    epilogue = fused(problem)
    if epilogue is None:
        return None
    # The input is read again after outputs were written: nothing may alias it.
    return Tactic(NAME, strided_inputs=frozenset({0}), strided_outputs=frozenset({0}))


def fused(problem: Problem) -> BlockEpilogue | None:
    """The epilogue as the kernel takes it; None where the kernel does not take the problem."""
    if not kernels.available() or not _fits(problem):
        return None
    return block_epilogue(problem.epilogue, problem.inputs, problem.output)


def workspace_bytes(problem: Problem, threads: int) -> int:
    """Scratch memory of a team."""
    return threads * sum(problem.buffers)


def record(
    problem: Problem, stream: Stream, inputs: Sequence[TensorView], output: TensorView,
    workspace: TensorView | None,
) -> None:
    """Put the kernel on the stream. Raises DeviceError without enough workspace."""
    epilogue = fused(problem)
    threads = 0 if workspace is None else workspace.desc.nbytes // sum(problem.buffers)
    if epilogue is None or workspace is None or threads == 0:
        raise DeviceError(
            f"SeparableConvolution's tactic {NAME!r} needs the shapes it was planned for and "
            f"{sum(problem.buffers)} bytes of workspace for each thread; build the plan again"
        )
    source, window, in_pairs = problem.source, problem.window, problem.in_pairs

    def packed(position: int, is_depthwise: bool) -> TensorView:
        weights = inputs[position]
        key = ("separable", in_pairs, is_depthwise, weights.digest)
        return stream.store.pack(key, lambda: _pack(weights, in_pairs, is_depthwise))

    projection = packed(3, False)
    stream.launch(
        kernels.kernel("plugrt_separable_convolution", LAYOUT + epilogues.LAYOUT),
        inputs[0], projection, inputs[4], output,
        packed(5, False) if problem.expands else projection,
        inputs[6] if problem.expands else inputs[4], packed(1, True), inputs[2], workspace,
        int(problem.expands), int(source.dtype is DataType.BFLOAT16), int(in_pairs), threads,
        source.sizes[0], (source.sizes[1], problem.between, output.shape[1]),
        source.sizes[2:], output.shape[2:], window.kernel, window.strides, window.before,
        problem.band_rows, _strides(source), _strides(output.desc), *problem.buffers,
        problem.expansion.kind, problem.expansion.parameters,
        problem.filter.kind, problem.filter.parameters,
        *epilogue.arguments(stream, inputs, output, projection),
    )  # fmt: skip


def _pack(weights: TensorView, in_pairs: bool, is_depthwise: bool) -> Array:
    value = constant_weights(_present(weights.desc))
    if is_depthwise:
        return (depthwise_kernel.pack_pairs if in_pairs else depthwise_kernel.pack)(value)
    matrix = np.asarray(value).reshape(value.shape[:2])
    return (product_kernel.pack_pairs if in_pairs else product_kernel.pack)(matrix)


def _fits(problem: Problem) -> bool:
    source, output = problem.source, problem.output
    weights = [desc for desc in problem.inputs[1:7:2] if desc is not None]
    biases = [desc for desc in problem.inputs[2:7:2] if desc is not None]
    return (
        source.dtype in (DataType.FLOAT32, DataType.BFLOAT16)
        and all(d.dtype is source.dtype for d in (*weights, output))
        and all(d.dtype is DataType.FLOAT32 for d in biases)
        and all(d.is_constant for d in (*weights, *biases))
        and source.format is output.format is Format.CHANNELS_LAST
        and 0 not in (*source.sizes, *output.sizes)
        and (not problem.in_pairs or _fits_pairs(problem))
        and _is_one_step(problem.expansion)
        and _is_one_step(problem.filter)
    )


def _is_one_step(activation: Activation) -> bool:
    """Whether it has a slope or bounds, not both."""
    return activation.kind != LEAKY or activation.parameters[1:] == (-inf, inf)


def _fits_pairs(problem: Problem) -> bool:
    window = problem.window
    return (
        multiplies_pairs()
        and problem.source.sizes[1] % 2 == problem.between % 2 == 0
        and window.kernel in depthwise_kernel.PAIRED_WINDOWS
        and window.strides[1] in depthwise_kernel.PAIRED_STRIDES
    )


def _strides(desc: TensorDesc) -> tuple[int, int, int]:
    per_image, _, per_row, per_pixel = desc.element_strides
    return per_image, per_row, per_pixel


def _present(desc: TensorDesc | None) -> TensorDesc:
    if desc is None:
        raise ValueError("an input that must be there is absent")
    return desc
