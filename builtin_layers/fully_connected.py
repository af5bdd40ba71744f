"""Fully connected layers: every output sees every input of its image."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plugins import (
    Combination,
    DeviceError,
    Epilogue,
    Format,
    LayerNode,
    LayerPlugin,
    Patch,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    format_shape,
    product,
)
from . import numpy_fallback
from .fused_epilogue import fuse
from .gpu_tactics import is_for_gpu
from .onednn_product import OneDnnProduct, worth_trying
from .quantised_arguments import is_quantised, quantised_arguments, weights_quantization
from .scratchpad import expected_threads, scratchpad_size

if TYPE_CHECKING:
    from ..plugins.native.onednn import Attributes, MemoryDesc, Primitive

PREFIX = "onednn:"


class FullyConnected(LayerPlugin):
    """input [N, ...] flattened to [N, K], times weights [M, K] transposed, plus bias [M]
    (optional) -> [N, M].

    float32 in any format, or 8-bit activations with int8 weights and float32 bias; other types
    through NumPy. ONNX Gemm and Flatten, Caffe InnerProduct, Darknet connected. Raises ShapeError
    when the sizes do not fit.
    """

    type = "FullyConnected"
    input_names = ("input", "weights", "bias?")
    recordable = True
    devices = ("cpu", "cuda")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        source, weights = inputs[0].shape, inputs[1].shape
        if len(source) < 2 or len(weights) != 2 or product(source[1:]) != weights[1]:
            raise ShapeError(
                f"FullyConnected: input {format_shape(source)} has "
                f"{product(source[1:]) if source else 'no'} elements per image; weights "
                f"{format_shape(weights)} must be outputs x elements per image"
            )
        if len(inputs) > 2 and inputs[2] is not None and inputs[2].shape != weights[:1]:
            raise ShapeError(
                f"FullyConnected: bias {format_shape(inputs[2].shape)} must have one value for "
                f"each of the {weights[0]} outputs"
            )
        return (source[0], weights[0])

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        source, weights, *bias = inputs
        flat = source.reshape(source.shape[0], -1).astype(np.float64)
        result = flat @ weights.astype(np.float64).T
        if bias and bias[0] is not None:
            result += bias[0]
        return [result.astype(source.dtype)]

    def inputQuantization(self, index: int, inputs: Sequence[TensorDesc]) -> Any | None:
        value = inputs[index].value
        return weights_quantization(value) if index == 1 and value is not None else None

    def rewrite(self, view: LayerNode) -> Patch | None:
        from .order_before_product import absorb_order  # with Reshape: plans load without

        return absorb_order(view, self.clone)

    def supportsFormat(self, combination: Combination) -> bool:
        source, weights, *rest = combination.inputs
        (output,) = combination.outputs
        plain = source.format is Format.LINEAR or (weights.is_constant and source.rank <= 5)
        if any(desc is not None and desc.quantization is not None for desc in rest):
            return False
        if is_quantised(source, weights, output):
            return source.format is Format.LINEAR
        product = (source, weights, output)
        if numpy_fallback.is_float32(product) or numpy_fallback.is_narrow_float(product):
            return plain
        same = source.dtype is weights.dtype is output.dtype
        return same and numpy_fallback.is_plain(combination)

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda":
            from . import products_cuda

            ways = products_cuda.FullyConnectedWays(
                request.inputs, request.outputs[0], request.epilogue, request.tf32
            )
            return ways.tactics(request.name)
        found = self._products(
            request.inputs, request.outputs[0], request.epilogue, request.thread_count
        )
        return [Tactic(name) for name in found] or numpy_fallback.tactics(request)

    def getCompilations(
        self, request: TacticRequest, tactics: Sequence[Tactic]
    ) -> Sequence[object]:
        if request.device != "cuda":
            return ()
        from . import products_cuda

        ways = products_cuda.FullyConnectedWays(
            request.inputs, request.outputs[0], request.epilogue, request.tf32
        )
        return ways.compilations(tactics)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        if is_for_gpu(self.tactic):
            from . import products_cuda

            ways = products_cuda.FullyConnectedWays(inputs, outputs[0], self.epilogue)
            return ways.workspace_size(self.tactic)
        found = self._products(inputs, outputs[0], self.epilogue, expected_threads())
        return scratchpad_size(p.primitive for p in found.values())

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        descs = [None if view is None else view.desc for view in inputs]
        if stream.device == "cuda":
            from . import products_cuda

            ways = products_cuda.FullyConnectedWays(descs, outputs[0].desc, self.epilogue)
            ways.record(self.tactic, inputs, outputs[0], workspace, stream)
            return
        found = self._products(descs, outputs[0].desc, self.epilogue, stream.thread_count)
        chosen = found.get(self.tactic.name) or next(iter(found.values()), None)
        if chosen is None:
            numpy_fallback.record_reference(self, inputs, outputs, stream)
        else:
            chosen.record(stream, inputs, outputs[0], workspace)

    def _products(
        self,
        inputs: Sequence[TensorDesc | None],
        output: TensorDesc,
        epilogue: Epilogue,
        threads: int,
    ) -> dict[str, OneDnnProduct]:
        """oneDNN's implementations by the names of their tactics."""
        from ..plugins.native import onednn

        source, weights = inputs[0], inputs[1]
        bias = inputs[2] if len(inputs) - epilogue.operands > 2 else None
        if source is None or weights is None or not onednn.available():
            return {}
        if is_quantised(source, weights, output):
            build, mask = _matrix_product, 0b10
        elif numpy_fallback.is_float32(
            (source, weights, output)
        ) or numpy_fallback.is_narrow_float((source, weights, output), bias):
            build, mask = _inner_product, 0b01
        else:
            return {}
        fused = fuse(epilogue, inputs, output)
        if fused is None:
            return {}
        quantised = quantised_arguments(source, weights, output, mask)
        attributes = quantised.attributes(fused.post_ops)
        try:
            plain, found = build(source, weights, bias, output, attributes, threads)
        except DeviceError:
            return {}
        return {
            PREFIX + p.implementation: OneDnnProduct(p, fused, quantised, plain, bias is not None)
            for p in found
        }


def _inner_product(
    source: TensorDesc, weights: TensorDesc, bias: TensorDesc | None, output: TensorDesc,
    attributes: Attributes, threads: int,
) -> tuple[MemoryDesc, list[Primitive]]:  # fmt: skip
    """The weights as they are, and oneDNN's inner products. Raises DeviceError."""
    from ..plugins.native import onednn

    images, *rest = source.sizes
    linear = source.format is Format.LINEAR
    # Pixels in another order than the weights' need these to have the same dimensions.
    dims = (weights.sizes[0], *([prod(rest)] if linear else rest))
    plain = onednn.MemoryDesc.dense(dims, weights.dtype)
    found = onednn.implementations(
        onednn.inner_product,
        onednn.MemoryDesc.dense((images, prod(rest)), source.dtype)
        if linear
        else onednn.MemoryDesc.of(source),
        onednn.MemoryDesc.any_layout(dims, weights.dtype) if weights.is_constant else plain,
        onednn.MemoryDesc.of(output),
        bias=None if bias is None else onednn.MemoryDesc.of(bias),
        attributes=attributes, threads=threads,
    )  # fmt: skip
    return plain, list(found)


def _matrix_product(
    source: TensorDesc, weights: TensorDesc, bias: TensorDesc | None, output: TensorDesc,
    attributes: Attributes, threads: int,
) -> tuple[MemoryDesc, list[Primitive]]:  # fmt: skip
    """The weights as they are, transposed, and oneDNN's matrix products: in 8 bits only these
    know zero points. Raises DeviceError."""
    from ..plugins.native import onednn

    images, *rest = source.sizes
    outputs, elements = weights.sizes
    plain = onednn.MemoryDesc.strided((elements, outputs), weights.dtype, (1, elements))
    packed = onednn.MemoryDesc.any_layout((elements, outputs), weights.dtype)
    found = onednn.implementations(
        onednn.matmul, onednn.MemoryDesc.dense((images, prod(rest)), source.dtype),
        packed if weights.is_constant else plain, onednn.MemoryDesc.of(output),
        bias=None if bias is None else onednn.MemoryDesc.dense((1, outputs), bias.dtype),
        attributes=attributes, threads=threads,
    )  # fmt: skip
    return plain, worth_trying(found)
