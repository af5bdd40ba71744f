"""cuDNN for every plug-in author: convolutions with fused expressions, plan by plan.

A layer offers the names of `ConvolutionGraph.plans()` as tactics, builds the one chosen in
`initialize`, asks it for `workspace_bytes`, and in `enqueue` calls `execute` with
`stream.handle` and addresses. Bias as float32 and as the tensors' own type choose different
families of engines; so does adding a residual before the bias (`biased`). Plans are kept in
the disk cache of kernels; `build_ahead` fills it for many at once.
"""

from .building_ahead import build_ahead
from .convolution import ConvolutionGraph, ConvolutionPlan
from .library import CudnnError, available, unavailable_reason, version
from .pointwise_forms import biased

__all__ = [
    "ConvolutionGraph", "ConvolutionPlan", "CudnnError", "available", "biased", "build_ahead",
    "unavailable_reason", "version",
]  # fmt: skip
