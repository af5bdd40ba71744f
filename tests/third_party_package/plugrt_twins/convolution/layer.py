"""The layer: attributes, shape rule, reference, and the choice among the ways to compute it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from plugrt.builtin_layers.convolution import shallow_kernel
from plugrt.builtin_layers.convolution.siblings import joined_siblings
from plugrt.builtin_layers.separable_convolution.alternative import separable_forms
from plugrt.plugins import (
    Array,
    Combination,
    DataType,
    Format,
    LayerNode,
    LayerPlugin,
    Patch,
    Quantization,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
    format_shape,
)

from ..numpy_path import NUMPY, are_plain, record_reference, tactics
from ..onednn_support import planned_threads
from ..windows import Window
from . import by_library, by_onednn, eight_bits
from .folding import fold
from .problem import Method, Problem, is_narrow

FIRST_LAYER = 4
"""Most channels of an image, which is read as it comes while the output has another format."""


class Convolution(LayerPlugin):
    """input [N, C, spatial...], weights [M, C / groups, window...], bias [M] (optional) ->
    [N, M, spatial...]. Twin of Convolution."""

    type = "Twins.Convolution"
    input_names = ("input", "weights", "bias?")
    recordable = True
    devices = ("cpu", "cuda")

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

    def window(self, weights: Shape) -> Window:
        """For weights of this shape. Raises ShapeError."""
        sizes = [size for size in weights[2:] if isinstance(size, int)]
        if len(sizes) != len(weights) - 2:
            raise ShapeError(f"{self.type}: the sizes of weights {format_shape(weights)} are open")
        return Window.of(self.type, sizes, self.strides, self.dilations, self.padding)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        source, weights = inputs[0].shape, inputs[1].shape
        given = f"{self.type}: input {format_shape(source)}, weights {format_shape(weights)}"
        if len(source) != len(weights) or not 3 <= len(source) <= 5:
            raise ShapeError(f"{given}: both must have one rank, of 3 to 5")
        filters = weights[0]
        if source[1] != weights[1] * self.groups:
            raise ShapeError(f"{given}, groups={self.groups}: the channels do not agree")
        if isinstance(filters, int) and filters % self.groups:
            raise ShapeError(f"{given}: {filters} filters are no multiple of {self.groups} groups")
        bias = inputs[2] if len(inputs) > 2 else None
        if bias is not None and bias.shape != (filters,):
            raise ShapeError(f"{given}: bias {format_shape(bias.shape)} must be one per filter")
        return (source[0], filters, *self.window(weights).counts(self.type, source[2:]))

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        source, weights, bias = (*inputs, None)[:3]
        window = self.window(weights.shape)
        counts = [int(n) for n in window.counts(self.type, source.shape[2:])]  # type: ignore[arg-type]
        seen = window.contents(source.astype(np.float64), counts, 0.0)
        parts = [
            _correlate(points, filters)
            for points, filters in zip(
                np.split(seen, self.groups, axis=1), np.split(weights, self.groups), strict=True
            )
        ]
        result = np.concatenate(parts, axis=1)
        if bias is not None:
            result += bias.astype(np.float64).reshape(-1, *(1,) * len(counts))
        return [result.astype(source.dtype)]

    def inputQuantization(self, index: int, inputs: Sequence[TensorDesc]) -> Quantization | None:
        value = inputs[index].value
        return eight_bits.scales_of_filters(value) if index == 1 and value is not None else None

    def rewrite(self, view: LayerNode) -> Patch | None:
        return fold(self, view)

    def alternatives(self, view: LayerNode) -> Sequence[Patch]:
        return [*joined_siblings(self, view), *separable_forms(self, view)]

    def supportsFormat(self, combination: Combination) -> bool:
        source, weights, *rest = combination.inputs
        (output,) = combination.outputs
        scaled = [desc for desc in (source, weights, output) if desc.quantization is not None]
        if weights.format is not Format.LINEAR or any(d and d.quantization for d in rest):
            return False
        if eight_bits.fits(source, weights, output):
            return source.format is output.format is Format.CHANNELS_LAST
        if combination.device == "cuda":
            from . import on_gpu

            if on_gpu.takes(source, weights, output, self.groups):
                return True
        if scaled:
            return False
        if shallow_kernel.takes(source, weights, output, self.groups):
            return True
        if is_narrow(source, weights, output, None):
            return source.format is output.format
        if source.dtype is not DataType.FLOAT32 or output.dtype is not DataType.FLOAT32:
            same = source.dtype is weights.dtype is output.dtype
            return same and are_plain(*combination.inputs, output)
        channels = source.shape[1]
        is_image = isinstance(channels, int) and channels <= FIRST_LAYER
        return source.format in (output.format, *([Format.LINEAR] if is_image else []))

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        found = {
            method.tactic.name: method.tactic
            for method in methods(self._requested(request), request.name)
        }
        return tuple(found.values()) or tactics(request)

    def getCompilations(
        self, request: TacticRequest, tactics: Sequence[Tactic]
    ) -> Sequence[object]:
        if request.device != "cuda":
            return ()
        from . import on_gpu

        return on_gpu.compilations(self._requested(request), [tactic.name for tactic in tactics])

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        on_gpu = self.tactic.name.startswith("cuda")
        threads, device = (1, "cuda") if on_gpu else (planned_threads(), "cpu")
        method = self._chosen(self._problem(inputs, outputs[0], self.epilogue, threads, device))
        return method.workspace_bytes if method is not None else 0

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        descs = [view and view.desc for view in inputs]
        method = self._chosen(
            self._problem(
                descs, outputs[0].desc, self.epilogue, stream.thread_count, stream.device
            )
        )
        if method is None:
            record_reference(self, inputs, outputs, stream)
        else:
            method.record(stream, inputs, outputs[0], workspace)

    def _requested(self, request: TacticRequest) -> Problem:
        return self._problem(
            request.inputs, request.outputs[0], request.epilogue, request.thread_count,
            request.device, request.tf32,
        )  # fmt: skip

    def _problem(
        self, inputs: Sequence[TensorDesc], output: TensorDesc, epilogue: Any, threads: int,
        device: str, tf32: bool = False,
    ) -> Problem:  # fmt: skip
        window = self.window(inputs[1].shape)
        return Problem(
            tuple(inputs), output, window, self.groups, epilogue, threads, device, tf32
        )

    def _chosen(self, problem: Problem) -> Method | None:
        """The tuned method or, where these sizes or strides rule it out, the first that treats
        the residual alike; None for NumPy."""
        if self.tactic.name == NUMPY.name:
            return None
        for method in methods(problem, self.tactic.name):
            if method.tactic.name == self.tactic.name and method.prepare():
                return method
        for method in chain(methods(problem), last_resorts(problem)):
            alike = method.tactic.accumulates_into == self.tactic.accumulates_into
            if alike and method.prepare():
                return method
        return None


def methods(problem: Problem, tactic: str | None = None) -> Iterator[Method]:
    """Every way that might be the fastest; with a tactic's name those of its family."""
    if problem.device == "cuda":
        from . import on_gpu

        yield from on_gpu.methods(problem, tactic)
        return
    good = False
    for method in by_library.first_layers(problem, tactic):
        good = True
        yield method
    in_8_bits = eight_bits.fits(problem.source, problem.weights, problem.output)
    narrow = is_narrow(problem.source, problem.weights, problem.output, problem.bias)
    if not (problem.is_float32 or in_8_bits or narrow):
        return
    for prefix, family in by_onednn.FAMILIES.items():
        if tactic is None or tactic.startswith(prefix):
            for method in family(problem):
                good = good or "gemm" not in method.tactic.name
                yield method
    yield from by_library.windows(problem, tactic)
    for family in (by_library.products, by_library.by_channel):
        for method in family(problem, tactic):
            good = True
            yield method
    yield from by_library.anything(problem, tactic, is_needed=not good)


def last_resorts(problem: Problem) -> Iterator[Method]:
    """Ways that no tactic needs to name, since they compute everything."""
    if problem.device == "cuda":
        from . import on_gpu

        yield from on_gpu.whatever_fits(problem)


def _correlate(points: Array, filters: Array) -> Array:
    """[N, C, counts..., window...] and [M, C, window...] -> [N, M, counts...]."""
    rank = filters.ndim - 2
    window = range(2 + rank, 2 + 2 * rank)
    summed = np.tensordot(points, filters.astype(np.float64), ([1, *window], range(1, 2 + rank)))
    return np.moveaxis(summed, -1, 1)
