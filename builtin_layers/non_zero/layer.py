"""The layer NonZero."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...plugins import (
    Combination,
    DataType,
    Format,
    LayerPlugin,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    data_dependent,
    product,
)
from ..gpu_tactics import is_for_gpu
from ..kernels import kernel

MAXIMUM_RANK = 8
TYPES = (
    DataType.BOOL, DataType.UINT8, DataType.INT8, DataType.UINT16, DataType.INT16,
    DataType.UINT32, DataType.INT32, DataType.UINT64, DataType.INT64,
    DataType.FLOAT16, DataType.BFLOAT16, DataType.FLOAT32, DataType.FLOAT64,
)  # fmt: skip

CHUNKS = 64
"""Parts of the input that are counted, and then written, on their own."""


class NonZero(LayerPlugin):
    """Indices of the elements that are not zero, in row-major order. ONNX NonZero.

    input [d0, ..., dr] -> indices int64 [r + 1, K], one column per element, and
    count, an int64 scalar that holds K. K is data-dependent, at most the number of elements;
    memory is laid out for that bound. NaN is not zero; -0.0 is. Types: bool, integers of 8 to 64
    bits, float16, bfloat16, float32, float64.
    """

    type = "NonZero"
    recordable = True
    devices = ("cpu", "cuda")

    def getNbOutputs(self) -> int:
        return 2

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        if index == 1:
            return ()
        rank = inputs[0].rank
        if not 1 <= rank <= MAXIMUM_RANK:
            raise ShapeError(
                f"NonZero: the input has rank {rank}; use a tensor of rank 1 to {MAXIMUM_RANK}"
            )
        return (rank, data_dependent(product(inputs[0].shape), output=1))

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        if inputTypes[0] not in TYPES:
            names = ", ".join(dtype.value for dtype in TYPES)
            raise ShapeError(
                f"NonZero: type {inputTypes[0].value} is not supported; use a Cast layer to one "
                f"of: {names}"
            )
        return DataType.INT64

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        found = np.array(np.nonzero(inputs[0]), np.int64)
        return [found, np.array(found.shape[1], np.int64)]

    def supportsFormat(self, combination: Combination) -> bool:
        (source,) = combination.inputs
        return source.dtype in TYPES and all(
            desc.format is Format.LINEAR and desc.quantization is None
            for desc in (source, *combination.outputs)
        )

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda" and not request.epilogue:
            from . import non_zero_cuda

            return (non_zero_cuda.TACTIC,)
        return super().getTactics(request)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        if is_for_gpu(self.tactic):
            from . import non_zero_cuda

            return non_zero_cuda.workspace_size(inputs)
        return CHUNKS * DataType.INT64.itemsize

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        source = inputs[0]
        if stream.device == "cuda":
            from . import non_zero_cuda

            non_zero_cuda.record(source, outputs, workspace, stream)
            return
        bits = 8 * source.dtype.itemsize
        # The sign does not make a floating-point zero a non-zero.
        mask = (1 << bits) - 1 if not source.dtype.is_float else (1 << (bits - 1)) - 1
        stream.launch(
            kernel("plugrt_non_zero", f"TTTTQIIqq{MAXIMUM_RANK}q"),
            source,
            outputs[0],
            outputs[1],
            workspace,
            mask,
            source.dtype.itemsize,
            source.desc.rank,
            CHUNKS,
            prod(source.shape),
            source.shape,
        )
