"""Matrix products with NumPy's rules."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plugins import (
    Combination,
    DataType,
    DeviceError,
    Epilogue,
    LayerPlugin,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    broadcast_shapes,
    format_shape,
)
from . import numpy_fallback
from .fused_epilogue import fuse
from .gpu_tactics import is_for_gpu
from .onednn_product import OneDnnProduct
from .quantised_arguments import QuantisedArguments
from .scratchpad import expected_threads, scratchpad_size

if TYPE_CHECKING:
    from ..plugins.native.onednn import MemoryDesc

PREFIX = "onednn:"


class MatMul(LayerPlugin):
    """a [..., M, K] @ b [..., K, N] -> [..., M, N], leading dimensions broadcasting; a vector is
    one row of a, or one column of b, and leaves no dimension. ONNX MatMul.

    float32 natively, other types through NumPy. Raises ShapeError when the sizes do not fit.
    """

    type = "MatMul"
    input_names = ("a", "b")
    recordable = True
    devices = ("cpu", "cuda")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        left, right = tuple(inputs[0].shape), tuple(inputs[1].shape)
        if not left or not right:
            raise ShapeError("MatMul: a scalar is no matrix; use Multiply")
        rows = left[-2:-1]
        columns = right[-1:] if len(right) > 1 else ()
        shared = right[-2] if len(right) > 1 else right[0]
        if left[-1] != shared:
            raise ShapeError(
                f"MatMul: {format_shape(left)} times {format_shape(right)}: the last size of a "
                f"({left[-1]}) must equal the one before the last of b ({shared})"
            )
        return (*broadcast_shapes([left[:-2], right[:-2]], self.type), *rows, *columns)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        if inputTypes[0] is not inputTypes[1]:
            raise ShapeError(
                f"MatMul: types {inputTypes[0].value} and {inputTypes[1].value} differ; cast one"
            )
        return inputTypes[0]

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        left, right = inputs
        if left.dtype.kind == "f":
            return [(left.astype(np.float64) @ right.astype(np.float64)).astype(left.dtype)]
        return [left @ right]

    def supportsFormat(self, combination: Combination) -> bool:
        left, right = combination.inputs
        (output,) = combination.outputs
        mixed = left.dtype is not right.dtype or left.dtype is not output.dtype
        if mixed and not numpy_fallback.is_narrow_float((left, right, output)):
            return False
        return numpy_fallback.is_plain(combination)

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda":
            from . import products_cuda

            ways = products_cuda.MatMulWays(
                request.inputs, request.outputs[0], request.epilogue, request.tf32
            )
            return ways.tactics(request.name)
        found = self._products(
            request.inputs, request.outputs[0], request.epilogue, request.thread_count
        )
        return [Tactic(name) for name in found] or numpy_fallback.tactics(request)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        if is_for_gpu(self.tactic):
            from . import products_cuda

            ways = products_cuda.MatMulWays(inputs, outputs[0], self.epilogue)
            return ways.workspace_size(self.tactic)
        found = self._products(inputs, outputs[0], self.epilogue, expected_threads())
        return scratchpad_size(p.primitive for p in found.values())

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        descs = [view.desc for view in inputs]
        if stream.device == "cuda":
            from . import products_cuda

            ways = products_cuda.MatMulWays(descs, outputs[0].desc, self.epilogue)
            ways.record(self.tactic, inputs, outputs[0], workspace, stream)
            return
        found = self._products(descs, outputs[0].desc, self.epilogue, stream.thread_count)
        chosen = found.get(self.tactic.name) or next(iter(found.values()), None)
        if chosen is None:
            numpy_fallback.record_reference(self, inputs, outputs, stream)
        else:
            chosen.record(stream, inputs, outputs[0], workspace)

    def _products(
        self, inputs: Sequence[TensorDesc], output: TensorDesc, epilogue: Epilogue, threads: int
    ) -> dict[str, OneDnnProduct]:
        """oneDNN's implementations by the names of their tactics."""
        from ..plugins.native import onednn

        left, right = inputs[0], inputs[1]
        product = (left, right, output)
        if not onednn.available() or not (
            numpy_fallback.is_float32(product) or numpy_fallback.is_narrow_float(product)
        ):
            return {}
        if 0 in (*left.sizes, *right.sizes):
            return {}
        a, b, c = as_matrices(left.sizes, right.sizes)
        plain = onednn.MemoryDesc.dense(b, right.dtype)
        try:
            fused = fuse(
                epilogue, inputs, output,
                describe=lambda desc, axis: _operand(desc, axis, output, c),
            )  # fmt: skip
            if fused is None:
                return {}
            packed = right.is_constant and len(b) == 2
            found = onednn.implementations(
                onednn.matmul, onednn.MemoryDesc.dense(a, left.dtype),
                onednn.MemoryDesc.any_layout(b, right.dtype) if packed else plain,
                onednn.MemoryDesc.dense(c, output.dtype),
                attributes=onednn.Attributes(post_ops=fused.post_ops), threads=threads,
            )  # fmt: skip
            return {
                PREFIX + p.implementation: OneDnnProduct(
                    p, fused, QuantisedArguments(), plain, False
                )
                for p in found
            }
        except DeviceError:
            return {}


def as_matrices(
    left: tuple[int, ...], right: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Sizes of a, b and the product with equal ranks, 2 or more, and no needless ones."""
    a = (1, *left) if len(left) == 1 else left
    b = (*right, 1) if len(right) == 1 else right
    if len(b) == 2:  # every matrix of a meets the same b: one tall matrix
        a = (prod(a[:-1]), a[-1])
    rank = max(len(a), len(b))
    a = (1,) * (rank - len(a)) + a
    b = (1,) * (rank - len(b)) + b
    batch = tuple(map(max, a[:-2], b[:-2]))
    return a, b, (*batch, a[-2], b[-1])


def _operand(
    desc: TensorDesc, axis: int | None, output: TensorDesc, sizes: tuple[int, ...]
) -> MemoryDesc:
    """An epilogue's operand beside a product of `sizes`. Raises DeviceError where it has no such
    form: only whole tensors, scalars and vectors along the last dimension do."""
    from ..plugins.native.onednn import MemoryDesc

    rank = output.rank
    if desc.shape == output.shape and axis is None:
        return MemoryDesc.dense(sizes, desc.dtype)
    aligned = (1,) * (rank - desc.rank) + desc.sizes
    if axis is not None:
        aligned = tuple(desc.sizes[0] if k == axis else 1 for k in range(rank))
    if prod(aligned) == 1 or (aligned and prod(aligned[:-1]) == 1 and aligned[-1] == sizes[-1]):
        return MemoryDesc.dense((1,) * (len(sizes) - 1) + (prod(aligned),), desc.dtype)
    raise DeviceError(f"the operand {desc} is neither a whole tensor nor a row")
