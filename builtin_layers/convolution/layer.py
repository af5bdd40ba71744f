"""The convolution layer: attributes, shape rule, and the choice among the ways to compute it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...plugins import (
    Combination,
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
    attribute,
    format_shape,
)
from .. import numpy_fallback
from ..gpu_tactics import is_for_gpu
from ..quantised_arguments import is_float8, is_quantised, weights_quantization
from ..scratchpad import expected_threads
from ..sliding_window import SlidingWindow
from . import (
    depthwise_kernel,
    direct_kernel,
    matrix_product,
    onednn_convolution,
    product_kernel,
    shallow_kernel,
    winograd,
)
from .problem import Candidate, ConvolutionProblem
from .reference import convolve


class Convolution(LayerPlugin):
    """Convolution over 1 to 3 spatial dimensions (cross-correlation, as everywhere).

    input [N, C, spatial...], weights [M, C / groups, kernel...], bias [M] (optional) ->
    [N, M, spatial...]. Floats of 16 and 32 bits, or 8-bit integers with int8 weights; on GPUs
    float8_e4m3fn as well.
    ONNX Conv, Caffe Convolution, Darknet convolutional. Raises ShapeError where channels,
    groups or window do not fit.
    """

    type = "Convolution"
    input_names = ("input", "weights", "bias?")
    recordable = True
    devices = ("cpu", "cuda")

    _latest: tuple[Any, Candidate | None] | None = None

    strides = attribute(tuple[int, ...], (), "steps per spatial dimension; () means ones")
    dilations = attribute(
        tuple[int, ...], (), "distances between a window's elements; () means ones"
    )
    padding = attribute(
        tuple[int, ...], (), "zeros: begin per spatial dimension, then end; () means none"
    )
    groups = attribute(
        int, 1, "channel groups that see nothing of each other",
        allowed=lambda groups: groups >= 1, rule="at least 1",
    )  # fmt: skip

    def window(self, weights: Shape) -> SlidingWindow:
        """The sliding window for weights of this shape. Raises ShapeError."""
        if any(not isinstance(size, int) for size in weights):
            raise ShapeError(f"Convolution: weights {format_shape(weights)} need known sizes")
        kernel = tuple(size for size in weights[2:] if isinstance(size, int))
        return SlidingWindow.of(
            self.type, kernel, self.strides, self.dilations, self.padding
        )

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        source, weights = inputs[0].shape, inputs[1].shape
        if not 3 <= len(source) == len(weights) <= 5:
            raise ShapeError(
                f"Convolution: input {format_shape(source)} and weights {format_shape(weights)} "
                "must have the same rank, 3 to 5"
            )
        channels, outputs, per_group = source[1], weights[0], weights[1]
        if channels != per_group * self.groups:
            raise ShapeError(
                f"Convolution: weights {format_shape(weights)} with groups={self.groups} take "
                f"{per_group * self.groups} channels, the input {format_shape(source)} has "
                f"{channels}"
            )
        if isinstance(outputs, int) and outputs % self.groups:
            raise ShapeError(
                f"Convolution: {outputs} output channels do not divide into {self.groups} groups"
            )
        if len(inputs) > 2 and inputs[2] is not None and inputs[2].shape != (outputs,):
            raise ShapeError(
                f"Convolution: bias {format_shape(inputs[2].shape)} must have one value for each "
                f"of the {outputs} output channels"
            )
        return (source[0], outputs, *self.window(weights).output_sizes(self.type, source[2:]))

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        source, weights = inputs[0], inputs[1]
        bias = inputs[2] if len(inputs) > 2 else None
        return [convolve(source, weights, bias, self.window(weights.shape), self.groups)]

    def inputQuantization(self, index: int, inputs: Sequence[TensorDesc]) -> Any | None:
        value = inputs[index].value
        return weights_quantization(value) if index == 1 and value is not None else None

    def rewrite(self, view: LayerNode) -> Patch | None:
        from . import rewrite  # with the layers it looks for: plans load without
        from .affine_before import absorb_affine_before

        return (
            rewrite.absorb_affine(self, view)
            or absorb_affine_before(self, view)
            or rewrite.absorb_padding(self, view)
        )

    def alternatives(self, view: LayerNode) -> Sequence[Patch]:
        # The separable layer is built from this folder's kernels.
        from ..separable_convolution.alternative import separable_forms
        from . import siblings

        return [*siblings.joined_siblings(self, view), *separable_forms(self, view)]

    # ---- formats and tactics --------------------------------------------------------------

    def supportsFormat(self, combination: Combination) -> bool:
        source, weights, *rest = combination.inputs
        (output,) = combination.outputs
        if any(d is not None and d.quantization is not None for d in rest):
            return False
        if weights.format is not Format.LINEAR:
            return False
        if is_quantised(source, weights, output):
            return source.format is output.format is Format.CHANNELS_LAST
        if shallow_kernel.takes(source, weights, output, self.groups):
            return True
        on_gpu = combination.device == "cuda"
        if on_gpu:
            from . import candidates_cuda

            if is_float8(source, weights, output):
                return source.format is output.format is Format.CHANNELS_LAST
            if candidates_cuda.takes(source, weights, output, self.groups):
                return True
        if numpy_fallback.is_narrow_float((source, weights, output)):
            return source.format is output.format
        if not numpy_fallback.is_float32((source, weights, output)):
            same = source.dtype is weights.dtype is output.dtype
            return numpy_fallback.is_plain(combination) and same
        if source.format is output.format:
            return True
        channels = source.shape[1]
        return (
            source.format is Format.LINEAR
            and isinstance(channels, int)
            and channels <= direct_kernel.FEW_CHANNELS
        )

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        problem = self._problem(
            request.inputs, request.outputs[0], request.epilogue, request.thread_count,
            request.device, request.tf32,
        )  # fmt: skip
        found = {c.tactic.name: c.tactic for c in _candidates(problem, request.name)}
        return list(found.values()) or numpy_fallback.tactics(request)

    def getCompilations(
        self, request: TacticRequest, tactics: Sequence[Tactic]
    ) -> Sequence[object]:
        if request.device != "cuda":
            return ()
        from . import candidates_cuda

        problem = self._problem(
            request.inputs, request.outputs[0], request.epilogue, request.thread_count,
            request.device, request.tf32,
        )  # fmt: skip
        return candidates_cuda.compilations(problem, [tactic.name for tactic in tactics])

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        device = "cuda" if is_for_gpu(self.tactic) else "cpu"
        threads = expected_threads() if device == "cpu" else 1
        chosen = self._chosen(self._problem(inputs, outputs[0], self.epilogue, threads, device))
        return 0 if chosen is None else chosen.workspace_bytes

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        descs = [None if view is None else view.desc for view in inputs]
        chosen = self._chosen(
            self._problem(
                descs, outputs[0].desc, self.epilogue, stream.thread_count, stream.device
            )
        )
        if chosen is None:
            numpy_fallback.record_reference(self, inputs, outputs, stream)
        else:
            chosen.record(stream, inputs, outputs[0], workspace)

    def _problem(
        self, inputs: Sequence[TensorDesc | None], output: TensorDesc, epilogue: Any, threads: int,
        device: str = "cpu", tf32: bool = False,
    ) -> ConvolutionProblem:  # fmt: skip
        source, weights = inputs[0], inputs[1]
        if source is None or weights is None:
            raise ShapeError("Convolution: input and weights must not be absent")
        has_bias = len(inputs) - epilogue.operands > 2
        return ConvolutionProblem(
            tuple(inputs), source, weights, inputs[2] if has_bias else None, output,
            self.window(weights.shape), self.groups, epilogue, threads, device, tf32,
        )  # fmt: skip

    def _chosen(self, problem: ConvolutionProblem) -> Candidate | None:
        """The candidate that was tuned for; where it does not exist at these shapes or strides
        another one that treats memory alike; None for NumPy."""
        if self.tactic.name == numpy_fallback.NUMPY.name:
            return None
        # Workspace and recording ask for the same one, and finding it is much of a load.
        asked = (self.tactic, problem.epilogue, problem.device, problem.layouts)
        latest = self._latest  # contexts of other threads may replace it meanwhile
        if latest is None or latest[0] != asked:
            latest = self._latest = asked, self._choose(problem)
        return latest[1]

    def _choose(self, problem: ConvolutionProblem) -> Candidate | None:
        names: list[str | None] = [self.tactic.name, None]
        if problem.device == "cuda":
            from . import direct_cuda

            names.append(direct_cuda.DIRECT)
        for name in names:
            for candidate in _candidates(problem, name):
                alike = candidate.tactic.accumulates_into == self.tactic.accumulates_into
                if alike and candidate.prepare():
                    return candidate
        return None


def _candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[Candidate]:
    """The way with the tactic's name; without one every way that might be the fastest, a good
    guess first."""
    if problem.device == "cuda":
        from . import candidates_cuda

        yield from candidates_cuda.candidates(problem, tactic)
        return
    count = 0
    for shallow in shallow_kernel.candidates(problem, tactic):
        count += 1
        yield shallow
    quantised = is_quantised(problem.source, problem.weights, problem.output)
    if not problem.is_float32 and not quantised and not problem.is_narrow:
        return
    for source in (onednn_convolution.candidates, matrix_product.candidates):
        for candidate in source(problem, tactic):
            # Plain matrix products over copied windows lose against direct loops.
            count += "gemm" not in candidate.tactic.name
            yield candidate
    yield from winograd.candidates(problem, tactic)
    for product in product_kernel.candidates(problem, tactic):
        count += 1
        yield product
    for depthwise in depthwise_kernel.candidates(problem, tactic):
        count += 1
        yield depthwise
    if tactic in (None, direct_kernel.DIRECT):
        yield from direct_kernel.candidates(problem, alone=not count)
