"""The softmax layers, by our own kernel or oneDNN's."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...plugins import (
    Combination,
    DataType,
    DeviceError,
    FixedRange,
    Format,
    LayerPlugin,
    RangeRule,
    Shape,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
    attribute,
)
from .. import kernels, numpy_fallback
from ..axes import normalize_axis
from ..scratchpad import bind_scratchpad, expected_threads, scratchpad_size

if TYPE_CHECKING:
    from ...plugins.native.onednn import Primitive

KERNEL = Tactic("kernel", may_alias=frozenset({0}))
PREFIX = "onednn:"


class Softmax(LayerPlugin):
    """exp(x) divided by its sum along `axis`: [any shape] -> the same. ONNX Softmax (opset 13).

    float32 in linear memory, or channels-last along the channels; other types through NumPy.
    Raises ShapeError where there is no such axis.
    """

    type = "Softmax"
    recordable = True
    devices = ("cpu", "cuda")
    logarithm: ClassVar[bool] = False

    axis = attribute(int, -1, "the dimension along which results add up to 1")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        normalize_axis(self.type, self.axis, inputs[0].rank)
        return inputs[0].shape

    def permuted(self, order: Sequence[int]) -> LayerPlugin | None:
        return self.clone(axis=list(order).index(normalize_axis(self.type, self.axis, len(order))))

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(0.0, 1.0)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        (source,) = inputs
        shifted = source.astype(np.float64) - source.max(axis=self.axis, keepdims=True)
        total = np.exp(shifted).sum(axis=self.axis, keepdims=True)
        result = shifted - np.log(total) if self.logarithm else np.exp(shifted) / total
        return [result.astype(source.dtype)]

    def supportsFormat(self, combination: Combination) -> bool:
        source, output = combination.inputs[0], combination.outputs[0]
        if source.format is Format.CHANNELS_LAST:
            axis = normalize_axis(self.type, self.axis, source.rank)
            is_narrow = combination.device == "cuda"
            if is_narrow:
                from . import softmax_cuda

                is_narrow = source.dtype in softmax_cuda.TYPES
            linear = axis == 1 and (is_narrow or numpy_fallback.is_float32((source,)))
        else:
            linear = numpy_fallback.is_plain(combination)
        plain = source.quantization is output.quantization is None
        same = source.format is output.format and source.dtype is output.dtype
        return linear and plain and same

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda":
            from . import softmax_cuda

            return softmax_cuda.tactics(request)
        if request.epilogue:
            return ()
        if request.inputs[0].dtype is not DataType.FLOAT32:
            return numpy_fallback.tactics(request)
        found = [KERNEL] if kernels.available() else []
        found += map(Tactic, self._primitives(request.inputs[0], request.thread_count))
        return found or numpy_fallback.tactics(request)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        if not self.tactic.name.startswith(PREFIX):
            return 0
        return scratchpad_size(self._primitives(inputs[0], expected_threads()).values())

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        source, output = inputs[0], outputs[0]
        axis = normalize_axis(self.type, self.axis, source.desc.rank)
        if stream.device == "cuda":
            from . import softmax_cuda

            softmax_cuda.record(source, output, axis, self.logarithm, stream)
            return
        if self.tactic.name.startswith(PREFIX):
            found = self._primitives(source.desc, stream.thread_count)
            primitive = found.get(self.tactic.name)
            if primitive is not None:
                _record_primitive(primitive, source, output, workspace, stream)
                return
        if source.dtype is DataType.FLOAT32 and kernels.available():
            kernel = kernels.kernel("plugrt_softmax_float32", "TTqqqi")
            extents = _extents(source.desc, axis)
            stream.launch(kernel, source, output, *extents, int(self.logarithm))
        else:
            numpy_fallback.record_reference(self, inputs, outputs, stream)

    def _primitives(self, source: TensorDesc, threads: int) -> dict[str, Primitive]:
        from ...plugins.native import onednn

        if not onednn.available() or not source.rank:
            return {}
        axis = normalize_axis(self.type, self.axis, source.rank)
        try:
            memory = onednn.MemoryDesc.of(source)
            found = onednn.implementations(
                onednn.softmax, memory, memory, axis=axis, logarithm=self.logarithm,
                threads=threads,
            )  # fmt: skip
            return {PREFIX + p.implementation: p for p in found}
        except DeviceError:
            return {}


class LogSoftmax(Softmax):
    """The logarithm of Softmax along `axis`: [any shape] -> the same. ONNX LogSoftmax (opset 13).

    Types and formats as for Softmax. Raises ShapeError where there is no such axis.
    """

    type = "LogSoftmax"
    logarithm = True

    def outputRange(self, index: int) -> RangeRule:
        return LayerPlugin.outputRange(self, index)


def _record_primitive(
    primitive: Primitive,
    source: TensorView,
    output: TensorView,
    workspace: TensorView | None,
    stream: Stream,
) -> None:
    from ...plugins.native.onednn import Argument

    bindings: dict[int, Any] = {Argument.SRC: source, Argument.DST: output}
    primitive.record(stream, bindings | bind_scratchpad(primitive, workspace, stream))


def _extents(desc: TensorDesc, axis: int) -> tuple[int, int, int]:
    """The tensor in memory as (elements outside the axis, its size, elements inside)."""
    sizes = desc.sizes
    if desc.format is Format.CHANNELS_LAST:
        return prod(sizes) // max(sizes[axis], 1), sizes[axis], 1
    return prod(sizes[:axis]), sizes[axis], prod(sizes[axis + 1 :])
