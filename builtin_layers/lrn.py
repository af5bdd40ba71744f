"""Local response normalization across channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plugins import (
    Combination,
    DeviceError,
    LayerPlugin,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
    format_shape,
)
from . import numpy_fallback
from .fused_epilogue import FusedEpilogue, fuse
from .gpu_tactics import is_for_gpu
from .scratchpad import bind_scratchpad, expected_threads, scratchpad_size

if TYPE_CHECKING:
    from ..plugins.native.onednn import Primitive

PREFIX = "onednn:"


class LRN(LayerPlugin):
    """x / (bias + alpha / size * sum of squares) ** beta over `size` neighbouring channels.

    [N, C, ...] -> the same, float32 in any format; other types through NumPy. ONNX LRN, Caffe LRN
    across channels, AlexNet (Krizhevsky et al. 2012). Raises ShapeError without channels.
    """

    type = "LRN"
    recordable = True
    devices = ("cpu", "cuda")

    size: attribute[int] = attribute(
        int, doc="channels that take part", allowed=lambda size: size >= 1, rule="at least 1"
    )
    alpha = attribute(float, 1e-4, "weight of the mean of squares")
    beta = attribute(float, 0.75, "exponent")
    bias = attribute(float, 1.0, "added to the mean of squares")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        if inputs[0].rank < 3:
            raise ShapeError(
                f"LRN: the input {format_shape(inputs[0].shape)} must be N x C x spatial..."
            )
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        (source,) = inputs
        squares = source.astype(np.float64) ** 2
        before, after = (self.size - 1) // 2, self.size // 2
        total = np.zeros_like(squares)
        for channel in range(source.shape[1]):
            seen = squares[:, max(channel - before, 0) : channel + after + 1]
            total[:, channel] = seen.sum(axis=1)
        scale = (self.bias + self.alpha / self.size * total) ** self.beta
        return [(source / scale).astype(source.dtype)]

    def supportsFormat(self, combination: Combination) -> bool:
        source, output = combination.inputs[0], combination.outputs[0]
        narrow = combination.device == "cuda"
        if narrow:
            from . import lrn_cuda

            narrow = source.dtype in lrn_cuda.TYPES
        plain = source.quantization is output.quantization is None
        if narrow and plain and source.dtype is output.dtype:
            return source.format is output.format
        if numpy_fallback.is_float32((source, output)):
            return source.format is output.format
        return numpy_fallback.is_plain(combination) and source.dtype is output.dtype

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda":
            from . import lrn_cuda

            return lrn_cuda.tactics(request)
        found = self._primitives(
            request.inputs, request.outputs[0], request.epilogue, request.thread_count
        )
        return [Tactic(name) for name in found] or numpy_fallback.tactics(request)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        if is_for_gpu(self.tactic):
            return 0
        found = self._primitives(inputs, outputs[0], self.epilogue, expected_threads())
        return scratchpad_size(primitive for primitive, _ in found.values())

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        from ..plugins.native.onednn import Argument

        if stream.device == "cuda":
            from . import lrn_cuda

            lrn_cuda.record(self, inputs, outputs[0], stream)
            return
        descs = [view.desc for view in inputs]
        found = self._primitives(descs, outputs[0].desc, self.epilogue, stream.thread_count)
        if not found:
            numpy_fallback.record_reference(self, inputs, outputs, stream)
            return
        primitive, fused = found.get(self.tactic.name) or next(iter(found.values()))
        bindings: dict[int, Any] = {Argument.SRC: inputs[0], Argument.DST: outputs[0]}
        bindings |= fused.bindings(inputs)
        primitive.record(stream, bindings | bind_scratchpad(primitive, workspace, stream))

    def _primitives(
        self, inputs: Sequence[TensorDesc], output: TensorDesc, epilogue: Any, threads: int
    ) -> dict[str, tuple[Primitive, FusedEpilogue]]:
        from ..plugins.native import onednn

        # oneDNN's window has a middle channel.
        if not onednn.available() or self.size % 2 == 0 or not numpy_fallback.is_float32(inputs):
            return {}
        fused = fuse(epilogue, inputs, output)
        if fused is None:
            return {}
        try:
            found = onednn.implementations(
                onednn.lrn, onednn.Algorithm.LRN_ACROSS_CHANNELS,
                onednn.MemoryDesc.of(inputs[0]), onednn.MemoryDesc.of(output),
                local_size=self.size, alpha=self.alpha, beta=self.beta, k=self.bias,
                attributes=onednn.Attributes(post_ops=fused.post_ops), threads=threads,
            )  # fmt: skip
            return {PREFIX + p.implementation: (p, fused) for p in found}
        except DeviceError:
            return {}
