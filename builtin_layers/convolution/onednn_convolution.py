"""Convolution by oneDNN's own implementations, each a tactic.

Which is best depends on the processor more than oneDNN's ranking says: on AMD's, kernels for
AVX2 or the older ones often win. So all are offered that are not meant as last resorts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ...plugins import DeviceError, TensorDesc
from ..fused_epilogue import FusedEpilogue, accumulable, fuse
from ..onednn_product import OneDnnProduct, worth_trying
from ..quantised_arguments import QuantisedArguments, quantised_arguments
from .onednn_candidate import OneDnnCandidate, implementation_in
from .problem import ConvolutionProblem

if TYPE_CHECKING:
    from ...plugins.native.onednn import MemoryDesc, Primitive

PREFIX = "onednn:"

def candidates(
    problem: ConvolutionProblem, tactic: str | None = None
) -> Iterator[OneDnnCandidate]:
    """The way with the tactic's name; without one every implementation worth trying, both without
    and with accumulation."""
    from ...plugins.native import onednn

    if not onednn.available() or not (problem.source.is_dense and problem.output.is_dense):
        return  # its convolutions know no gaps
    quantised = quantised_arguments(
        problem.source, problem.weights, problem.output, 1 if problem.groups == 1 else 0b11
    )
    dims = weights_dims(problem.weights, problem.groups)
    plain = onednn.MemoryDesc.dense(dims, problem.weights.dtype)
    for accumulates in (None, *accumulable(problem.epilogue, problem.inputs, problem.output)):
        wanted = None
        if tactic is not None:
            wanted = implementation_in(tactic, PREFIX, accumulates)
            if wanted is None:
                continue
        fused = fuse(problem.epilogue, problem.inputs, problem.output, accumulates=accumulates)
        if fused is None:
            continue
        weights = plain
        if problem.weights.is_constant:
            weights = onednn.MemoryDesc.any_layout(dims, problem.weights.dtype)
        found = _implementations(problem, weights, fused, quantised)
        for primitive in worth_trying(found, wanted):
            product = OneDnnProduct(primitive, fused, quantised, plain, problem.bias is not None)
            yield OneDnnCandidate(product, prefix=PREFIX, accumulates=accumulates)


def weights_dims(weights: TensorDesc, groups: int) -> tuple[int, ...]:
    """Weights as oneDNN counts them: (O, I, kernel...), or (G, O / G, I / G, kernel...)."""
    outputs, *rest = weights.sizes
    return weights.sizes if groups == 1 else (groups, outputs // groups, *rest)


def _implementations(
    problem: ConvolutionProblem,
    weights: MemoryDesc,
    fused: FusedEpilogue,
    quantised: QuantisedArguments,
) -> Iterable[Primitive]:
    from ...plugins.native import onednn

    window, bias = problem.window, problem.bias
    try:
        yield from onednn.implementations(
            onednn.convolution, onednn.MemoryDesc.of(problem.source), weights,
            onednn.MemoryDesc.of(problem.output),
            bias=None if bias is None else onednn.MemoryDesc.of(bias),
            strides=window.strides, padding_before=window.before,
            padding_after=window.padding_used(problem.source.sizes[2:], problem.output.sizes[2:]),
            dilations=window.dilations, attributes=quantised.attributes(fused.post_ops),
            threads=problem.threads,
        )  # fmt: skip
    except DeviceError:
        return
