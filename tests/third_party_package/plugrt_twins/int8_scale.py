"""A layer without a built-in twin that computes on 8-bit values when it is given scales."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from plugrt.plugins import (
    Combination,
    DataType,
    LayerPlugin,
    Quantization,
    Shape,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
)

from . import kernels_cuda
from .kernels import kernel

TYPES = {DataType.FLOAT32: "float32", DataType.INT8: "int8", DataType.UINT8: "uint8"}

LAYOUT = "TTqfii"
"""struct scaling in int8_scale.c."""


class Int8Scale(LayerPlugin):
    """factor * x, of any shape and in any format.

    float32, or int8 and uint8 with one scale per tensor: input and output have scales and
    zero points of their own. Results round half to even and saturate.
    """

    type = "Twins.Int8Scale"
    recordable = True
    devices = ("cpu", "cuda")

    factor: attribute[float] = attribute(float, doc="the number to multiply by")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [np.asarray(inputs[0] * np.float32(self.factor), inputs[0].dtype)]

    def supportsFormat(self, combination: Combination) -> bool:
        (source,), (result,) = combination.inputs, combination.outputs
        if (source.format, source.dtype) != (result.format, result.dtype):
            return False
        scales = (source.quantization, result.quantization)
        if source.dtype is DataType.FLOAT32:
            return scales == (None, None)
        return source.dtype in TYPES and all(s is not None and s.axis is None for s in scales)

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return () if request.epilogue else (Tactic("kernel", may_alias=frozenset({0})),)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        source, result = inputs[0], outputs[0]
        stored, wanted = (v.desc.quantization or Quantization((1.0,)) for v in (source, result))
        count = prod(source.shape)
        arguments = (
            source, result, count, self.factor * stored.scale[0] / wanted.scale[0],
            stored.zero_point[0], wanted.zero_point[0],
        )  # fmt: skip
        if stream.device == "cuda":
            on_gpu = kernels_cuda.kernel(
                "int8_scale.cu", f"scale_stored<{kernels_cuda.TYPES[source.dtype]}>", LAYOUT
            )
            stream.launch_grid(
                on_gpu, kernels_cuda.blocks(count), (kernels_cuda.THREADS,), *arguments
            )
        else:
            stream.launch(kernel(f"twins_scale_{TYPES[source.dtype]}", LAYOUT), *arguments)
