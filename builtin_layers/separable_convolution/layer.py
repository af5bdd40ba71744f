"""The layer: attributes, shape rule, reference, and the choice of kernels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

import numpy as np

from ...plugins import (
    Array,
    Combination,
    DeviceError,
    Format,
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
from .. import numpy_fallback
from ..activation import CLIP, LEAKY, Activation
from ..convolution.reference import convolve
from ..gpu_tactics import is_for_gpu
from ..scratchpad import expected_threads
from ..sliding_window import POINT, SlidingWindow
from . import kernel


class SeparableConvolution(LayerPlugin):
    """A depthwise convolution and a 1x1 convolution, perhaps after another 1x1 convolution, as in
    MobileNet (arXiv:1704.04861, arXiv:1801.04381): what lies between them stays in cache.

    input [N, C, H, W], depthwise_weights [D, 1, h, w], depthwise_bias [D], weights [M, D, 1, 1],
    bias [M], expansion_weights [D, C, 1, 1] and expansion_bias [D] (both or none; without them
    D = C) -> [N, M, H', W']. float32 or bfloat16, on GPUs float16 too; biases float32. What
    lies between is rounded to that type. Raises ShapeError where these do not fit.
    """

    type = "SeparableConvolution"
    input_names = (
        "input", "depthwise_weights", "depthwise_bias", "weights", "bias",
        "expansion_weights?", "expansion_bias?",
    )  # fmt: skip
    recordable = True
    devices = ("cpu", "cuda")

    strides = attribute(tuple[int, ...], (), "steps of the depthwise window; () means ones")
    padding = attribute(
        tuple[int, ...], (), "zeros round the depthwise input: begin, then end; () means none"
    )
    expansion_activation = attribute(
        tuple[float, ...], (),
        "after the expansion: (slope of negative values, least, greatest value); () means none",
        allowed=lambda values: len(values) in (0, 3), rule="none or three numbers",
    )  # fmt: skip
    depthwise_activation = attribute(
        tuple[float, ...], (), "the same after the depthwise convolution",
        allowed=lambda values: len(values) in (0, 3), rule="none or three numbers",
    )  # fmt: skip

    def window(self, weights: Shape) -> SlidingWindow:
        """The depthwise window for weights of this shape. Raises ShapeError."""
        size = tuple(n for n in weights[2:] if isinstance(n, int))
        return SlidingWindow.of(self.type, size, self.strides, (), self.padding)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        source, depthwise, depthwise_bias, weights, bias, *rest = inputs
        expansion = [desc for desc in rest if desc is not None]
        between = depthwise.shape[0] if depthwise.rank else 0
        channels = source.shape[1] if source.rank == 4 else -1
        wanted: list[tuple[TensorDesc, Shape]] = [
            (depthwise, (between, 1, *depthwise.shape[2:])), (depthwise_bias, (between,)),
            (weights, (weights.shape[0] if weights.rank else 0, between, 1, 1)),
            (bias, weights.shape[:1]),
        ]  # fmt: skip
        if len(expansion) == 2:
            wanted += [(expansion[0], (between, channels, 1, 1)), (expansion[1], (between,))]
        fits = all(desc.shape == shape for desc, shape in wanted) and depthwise.rank == 4
        joins = len(expansion) == 2 or (not expansion and channels == between)
        if not fits or not joins or source.rank != 4:
            shapes = ", ".join(format_shape(d.shape) for d in inputs if d is not None)
            raise ShapeError(
                f"{self.type}: inputs of {shapes} do not fit; wanted are [N, C, H, W], "
                "[D, 1, h, w], [D], [M, D, 1, 1], [M], and [D, C, 1, 1], [D] unless D is C"
            )
        sizes = self.window(depthwise.shape).output_sizes(self.type, source.shape[2:])
        return (source.shape[0], weights.shape[0], *sizes)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        given, depthwise, depthwise_bias, weights, bias, *expansion = inputs
        source = given.astype(np.float64)  # so that nothing is rounded in between
        if len(expansion) == 2 and expansion[0] is not None:
            source = convolve(source, expansion[0], expansion[1], POINT, 1)
            source = _activated(source, self.expansion_activation)
        window = self.window(depthwise.shape)
        filtered = convolve(source, depthwise, depthwise_bias, window, len(depthwise))
        filtered = _activated(filtered, self.depthwise_activation)
        return [convolve(filtered, weights, bias, POINT, 1).astype(given.dtype)]

    @classmethod
    def exampleCases(cls) -> Iterable[Any]:
        """With and without expansion."""
        random = np.random.default_rng(0)

        def drawn(*shape: int) -> Array:
            return random.uniform(-1, 1, shape).astype(np.float32)

        last = [drawn(24, 1, 3, 3), drawn(24), drawn(10, 24, 1, 1), drawn(10)]
        for stride in (1, 2):
            attributes = {"strides": (stride, stride), "padding": (1, 1, 1, 1)}
            yield {
                "inputs": [drawn(2, 24, 7, 6), *last], "constants": range(1, 5),
                "attributes": {**attributes, "depthwise_activation": (0.1, -inf, inf)},
            }  # fmt: skip
            yield {
                "inputs": [drawn(2, 6, 7, 6), *last, drawn(24, 6, 1, 1), drawn(24)],
                "constants": range(1, 7),
                "attributes": {**attributes, "expansion_activation": (1.0, 0.0, 6.0)},
            }  # fmt: skip

    def supportsFormat(self, combination: Combination) -> bool:
        source, *rest = combination.inputs
        (output,) = combination.outputs
        if any(d is not None and d.quantization is not None for d in (source, *rest, output)):
            return False
        same = source.dtype is output.dtype and source.format is output.format
        return same and all(d is None or d.format is Format.LINEAR for d in rest)

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        problem = self._problem(request.inputs, request.outputs[0], request.epilogue)
        if request.device == "cuda":
            from . import steps_cuda

            steps = steps_cuda.steps(problem)
            return numpy_fallback.tactics(request) if steps is None else (steps.tactic,)
        found = kernel.tactic(problem)
        return numpy_fallback.tactics(request) if found is None else (found,)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        problem = self._problem(inputs, outputs[0], self.epilogue)
        if is_for_gpu(self.tactic):
            return int(self._steps(problem).workspace_bytes)
        if self.tactic.name != kernel.NAME or kernel.fused(problem) is None:
            return 0
        return kernel.workspace_bytes(problem, expected_threads())

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        descs = [None if view is None else view.desc for view in inputs]
        problem = self._problem(descs, outputs[0].desc, self.epilogue)
        if stream.device == "cuda":
            self._steps(problem).record(stream, self._padded(inputs), outputs[0], workspace)
        elif self.tactic.name != kernel.NAME or kernel.fused(problem) is None:
            numpy_fallback.record_reference(self, inputs, outputs, stream)
        else:
            kernel.record(problem, stream, self._padded(inputs), outputs[0], workspace)

    def _steps(self, problem: kernel.Problem) -> Any:
        """The convolutions as a GPU runs them. Raises DeviceError where it has no kernels."""
        from . import steps_cuda

        steps = steps_cuda.steps(problem)
        if steps is None:
            raise DeviceError(
                f"{self.type}: no kernels compute {problem.output} here; build the plan again"
            )
        return steps

    def _padded(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """With None for optional inputs that were left out, before the epilogue's operands."""
        own = list(inputs[: len(inputs) - self.epilogue.operands])
        missing = len(self.input_names) - len(own)
        return (*own, *[None] * missing, *inputs[len(own) :])

    def _problem(
        self, inputs: Sequence[TensorDesc | None], output: TensorDesc, epilogue: Any
    ) -> kernel.Problem:
        own = list(inputs[: len(inputs) - epilogue.operands])
        operands = inputs[len(own) :]
        padded = (*own, *[None] * (len(self.input_names) - len(own)), *operands)
        depthwise = own[1]
        if depthwise is None:
            raise ShapeError(f"{self.type}: depthwise_weights must not be absent")
        return kernel.Problem(
            padded, output, self.window(depthwise.shape),
            _activation(self.expansion_activation), _activation(self.depthwise_activation),
            epilogue,
        )  # fmt: skip


def _activation(values: tuple[float, ...]) -> Activation:
    if not values:
        return Activation()
    slope, least, greatest = values
    return Activation(LEAKY if slope != 1 else CLIP, (slope, least, greatest))


def _activated(values: Array, activation: tuple[float, ...]) -> Array:
    if not activation:
        return values
    slope, least, greatest = activation
    return np.clip(np.where(values > 0, values, values * slope), least, greatest)
