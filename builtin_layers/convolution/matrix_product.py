"""A 1x1 convolution of channels-last tensors as oneDNN's matrix product: rows are pixels.

Unlike oneDNN's convolutions it reads and writes slices of larger tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING

from ...plugins import DeviceError, Format, TensorDesc
from ..fused_epilogue import FusedEpilogue, accumulable, fuse
from ..onednn_product import OneDnnProduct, worth_trying
from ..quantised_arguments import QuantisedArguments, quantised_arguments
from .onednn_candidate import OneDnnCandidate, implementation_in
from .problem import ConvolutionProblem

if TYPE_CHECKING:
    from ...plugins.native.onednn import MemoryDesc, Primitive

PREFIX = "matmul:"


def candidates(
    problem: ConvolutionProblem, tactic: str | None = None
) -> Iterator[OneDnnCandidate]:
    """The way with the tactic's name; without one every optimised implementation, both without
    and with accumulation."""
    from ...plugins.native import onednn

    if (
        not onednn.available()
        or problem.groups != 1
        or not problem.window.covers_one_element
        or not problem.has_formats(Format.CHANNELS_LAST, Format.CHANNELS_LAST)
        or not problem.weights.is_constant
    ):
        return
    outputs, channels = problem.weights.sizes[:2]
    plain = onednn.MemoryDesc.strided((channels, outputs), problem.weights.dtype, (1, channels))
    quantised = quantised_arguments(problem.source, problem.weights, problem.output, 0b10)
    for accumulates in (None, *accumulable(problem.epilogue, problem.inputs, problem.output)):
        wanted = None
        if tactic is not None:
            wanted = implementation_in(tactic, PREFIX, accumulates)
            if wanted is None:
                continue
        fused = fuse(
            problem.epilogue, problem.inputs, problem.output, accumulates=accumulates,
            describe=lambda desc, axis: _operand(desc, axis, problem.output),
        )  # fmt: skip
        if fused is None:
            continue
        for primitive in worth_trying(_implementations(problem, fused, quantised), wanted):
            product = OneDnnProduct(primitive, fused, quantised, plain, problem.bias is not None)
            yield OneDnnCandidate(product, prefix=PREFIX, accumulates=accumulates, gaps=True)


def _implementations(
    problem: ConvolutionProblem, fused: FusedEpilogue, quantised: QuantisedArguments
) -> Iterable[Primitive]:
    from ...plugins.native import onednn

    outputs, channels = problem.weights.sizes[:2]
    bias = None
    if problem.bias is not None:
        bias = onednn.MemoryDesc.dense((1, outputs), problem.bias.dtype)
    try:
        yield from onednn.implementations(
            onednn.matmul, _pixels(problem.source),
            onednn.MemoryDesc.any_layout((channels, outputs), problem.weights.dtype),
            _pixels(problem.output), bias=bias,
            attributes=quantised.attributes(fused.post_ops), threads=problem.threads,
        )  # fmt: skip
    except DeviceError:
        return


def _pixels(desc: TensorDesc) -> MemoryDesc:
    """[N, C, spatial...] as a matrix of pixels and channels. Raises DeviceError where the pixels
    are not evenly spaced."""
    from ...plugins.native.onednn import MemoryDesc

    batch, channels, *spatial = desc.sizes
    per_image, _, *steps = desc.element_strides
    distance = steps[-1]
    rows = 1
    for size, step in zip((*reversed(spatial), batch), (*reversed(steps), per_image), strict=True):
        if size > 1 and step != distance * rows:
            raise DeviceError(f"the pixels of {desc} are not evenly spaced")
        rows *= size
    return MemoryDesc.strided((rows, channels), desc.dtype, (distance, 1))


def _operand(desc: TensorDesc, axis: int | None, output: TensorDesc) -> MemoryDesc:
    """An epilogue's operand beside the matrix. Raises DeviceError where it has no such form."""
    from ...plugins.native.onednn import MemoryDesc

    if desc.shape == output.shape and desc.format is output.format:
        return _pixels(desc)
    sizes = desc.sizes
    if axis is None:
        sizes = (1,) * (output.rank - desc.rank) + sizes
        channels = sizes[1]
    else:
        channels = sizes[0] if axis == 1 else 1
    if desc.format is not Format.LINEAR or not desc.is_dense or prod(sizes) != channels:
        raise DeviceError(f"{desc} is neither a tensor of pixels nor a vector of channels")
    return MemoryDesc.dense((1, channels), desc.dtype)
