"""Channels-last convolution of single points as a matrix product by cuBLASLt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from ...plugins import DataType, Format, Stream, TensorDesc, TensorView
from ...plugins.native.cuda.cublaslt import MatrixProduct
from ..cublaslt_product import PREFIX, TYPES, FusedSum, LibraryProduct, fused_sum, products
from .direct_cuda import DirectConvolution
from .problem import Candidate, ConvolutionProblem


class PointProduct(Candidate):
    """One algorithm; weights [M, C, 1...] are the right factor, transposed, as they are."""

    def __init__(self, problem: ConvolutionProblem, product: LibraryProduct) -> None:
        self._problem = problem
        self._product = product
        self.tactic = product.tactic

    def prepare(self) -> bool:
        possible = self._product.prepare()
        self.workspace_bytes = self._product.workspace_bytes
        return possible

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        if self.prepare() and self._product.accepts(inputs, output, workspace):
            self._product.record(stream, inputs[0], inputs[1], inputs, output, workspace)
        else:
            DirectConvolution(self._problem).record(stream, inputs, output, workspace)


def candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[Candidate]:
    """The algorithm with the tactic's name; without one those that cuBLASLt proposes."""
    if tactic is not None and not tactic.startswith(PREFIX):
        return
    found = _product(problem)
    if found is not None:
        for product in products(*found, tactic, strided=True):
            yield PointProduct(problem, product)


def _product(problem: ConvolutionProblem) -> tuple[MatrixProduct, FusedSum] | None:
    source, weights, output = problem.source, problem.weights, problem.output
    own = (source, weights, output)
    if {source.dtype, weights.dtype, output.dtype} != {source.dtype} or source.dtype not in TYPES:
        return None
    if any(desc.quantization is not None for desc in own) or problem.groups != 1:
        return None
    if not problem.has_formats(Format.CHANNELS_LAST, Format.CHANNELS_LAST):
        return None
    if not problem.window.covers_one_element or 0 in (*source.sizes, *output.sizes):
        return None
    bias = problem.bias
    if bias is not None and not bias.is_constant and bias.dtype is not source.dtype:
        return None
    fused = fused_sum(
        problem.epilogue, problem.inputs, output, columns_axis=1,
        bias=None if bias is None else 2,
    )  # fmt: skip
    if fused is None:
        return None
    residual = None if fused.residual is None else problem.inputs[fused.residual]
    if residual is not None and residual.format is not Format.CHANNELS_LAST:
        return None
    steps = [None if desc is None else row_step(desc) for desc in (source, output, residual)]
    if steps[0] is None or steps[1] is None or (residual is not None and steps[2] is None):
        return None
    images, columns, *spatial = output.sizes
    product = MatrixProduct(
        images * prod(spatial), columns, source.sizes[1], source.dtype,
        bias=fused.bias is not None, activation=fused.activation,
        residual=residual is not None, a_stride=steps[0], d_stride=steps[1],
        residual_stride=steps[2], tf32=problem.tf32 and source.dtype is DataType.FLOAT32,
    )  # fmt: skip
    return product, fused


def row_step(desc: TensorDesc) -> int | None:
    """Elements from one point of a channels-last tensor to the next; None where points do not
    lie evenly spaced."""
    images, channels, *spatial = desc.sizes
    own = desc.element_strides
    if channels > 1 and own[1] != 1:
        return None
    step = reach = None
    for size, stride in reversed(list(zip((images, *spatial), (own[0], *own[2:]), strict=True))):
        if size == 1:
            continue
        if step is None or reach is None:
            step, reach = stride, stride
        elif stride != reach:
            return None
        reach *= size
    return step if step is not None else channels
