"""The pooling layers: attributes, shape rules and references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ...plugins import (
    Array,
    Combination,
    DataType,
    LayerNode,
    LayerPlugin,
    Patch,
    RangeRule,
    SameRange,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
    format_shape,
)
from .. import numpy_fallback, scratchpad
from ..sliding_window import SlidingWindow
from . import native_kernel, onednn_pooling
from .padding import absorb_padding

QUANTISED = (DataType.INT8, DataType.UINT8)


class Pooling(LayerPlugin):
    """Base: one value for each window over the spatial dimensions of [N, C, spatial...]."""

    type = "Pooling"
    recordable = True
    devices = ("cpu", "cuda")
    average: ClassVar[bool] = False
    count_include_padding: Any = False

    def window(self, shape: Shape) -> SlidingWindow:
        """The window over an input of this shape. Raises ShapeError where it cannot be one."""
        raise NotImplementedError

    def spatial_sizes(self, shape: Shape) -> Shape:
        """Spatial sizes of the output for an input of this shape."""
        return self.window(shape).output_sizes(self.type, shape[2:])

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        if len(shape) < 3:
            raise ShapeError(
                f"{self.type}: the input {format_shape(shape)} has no spatial dimension; "
                "it must be N x C x spatial..."
            )
        return (shape[0], shape[1], *self.spatial_sizes(shape))

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)

    def supportsFormat(self, combination: Combination) -> bool:
        (source,), (result,) = combination.inputs, combination.outputs
        if source.format is not result.format or source.dtype is not result.dtype:
            return False
        if source.dtype in numpy_fallback.NARROW_FLOATS:
            return True
        scaled = source.dtype.is_float8 and source.quantization is not None
        if source.dtype is DataType.FLOAT32 or source.dtype in QUANTISED or scaled:
            if self.average:
                kinds = (source.quantization, result.quantization)
                return (None in kinds) == (source.dtype is DataType.FLOAT32) and all(
                    kind is None or kind.axis is None for kind in kinds
                )
            return source.quantization == result.quantization
        return numpy_fallback.is_plain(combination)

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda":
            from . import pooling_cuda

            return pooling_cuda.tactics(self, request)
        window = self.window(request.inputs[0].shape)
        found: list[Tactic] = []
        if not request.epilogue and native_kernel.supports(request.inputs[0]):
            found.append(native_kernel.TACTIC)
        found += [
            Tactic(name)
            for name in onednn_pooling.primitives(self, window, request)
        ]
        return found or numpy_fallback.tactics(request)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        if not onednn_pooling.is_ours(self.tactic):
            return 0
        request = TacticRequest(
            tuple(inputs), tuple(outputs), self.epilogue,
            thread_count=scratchpad.expected_threads(),
        )  # fmt: skip
        window = self.window(inputs[0].shape)
        return scratchpad.scratchpad_size(
            onednn_pooling.primitives(self, window, request).values()
        )

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        window = self.window(inputs[0].shape)
        if stream.device == "cuda":
            from . import pooling_cuda

            pooling_cuda.record(self, window, inputs, outputs[0], stream)
            return
        if onednn_pooling.is_ours(self.tactic) and onednn_pooling.record(
            self, window, inputs, outputs[0], workspace, stream
        ):
            return
        if not self.epilogue and native_kernel.supports(inputs[0].desc):
            native_kernel.record(self, window, inputs[0], outputs[0], stream)
        else:
            numpy_fallback.record_reference(self, inputs, outputs, stream)


class WindowedPooling(Pooling):
    """Base of the poolings whose window is given by attributes."""

    type = "WindowedPooling"

    kernel: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...], doc="window size per spatial dimension"
    )
    strides = attribute(tuple[int, ...], (), "steps per spatial dimension; () means ones")
    padding = attribute(
        tuple[int, ...], (), "begin per spatial dimension, then end; () means zeros"
    )
    ceil_mode = attribute(bool, False, "round output sizes up: windows may leave the padding")

    def window(self, shape: Shape) -> SlidingWindow:
        window = SlidingWindow.of(
            self.type, self.kernel, self.strides, self.window_dilations, self.padding
        )
        extents = zip(window.extent, window.before, window.after, strict=True)
        if any(max(before, after) >= extent for extent, before, after in extents):
            raise ShapeError(
                f"{self.type}: padding {self.padding} puts windows of {self.kernel} wholly "
                "outside the input; padding must be smaller than the window"
            )
        return window

    @property
    def window_dilations(self) -> tuple[int, ...]:
        """Distances between a window's elements; () means ones."""
        return ()

    def spatial_sizes(self, shape: Shape) -> Shape:
        return self.window(shape).output_sizes(self.type, shape[2:], self.ceil_mode)

    def rewrite(self, view: LayerNode) -> Patch | None:
        return absorb_padding(self, view)


class GlobalPooling(Pooling):
    """Base of the poolings over whole channels: the output is [N, C, 1...]."""

    type = "GlobalPooling"

    def window(self, shape: Shape) -> SlidingWindow:
        sizes = tuple(size if isinstance(size, int) else 1 for size in shape[2:])
        return SlidingWindow.of(self.type, sizes)

    def spatial_sizes(self, shape: Shape) -> Shape:
        return (1,) * (len(shape) - 2)


def maximum(layer: Pooling, source: Array) -> Array:
    """The largest element of each window; neither padding nor NaN ever wins. NumPy."""
    window = layer.window(source.shape)
    sizes = [int(size) for size in layer.spatial_sizes(source.shape)]  # type: ignore[arg-type]
    least = np.iinfo(source.dtype).min if source.dtype.kind in "iu" else -np.inf
    padded = window.pad(source, sizes, least)
    result = np.full((*source.shape[:2], *sizes), least, source.dtype)
    for view in window.views(padded, sizes):
        np.fmax(result, view, out=result)
    return result


def mean(layer: Pooling, source: Array) -> Array:
    """The mean of each window over the elements that count. NumPy, accumulated in float64."""
    window = layer.window(source.shape)
    sizes = [int(size) for size in layer.spatial_sizes(source.shape)]  # type: ignore[arg-type]
    counted = np.ones((1, 1, *source.shape[2:]))
    if layer.count_include_padding:
        pairs = zip(window.before, window.after, strict=True)
        counted = np.pad(counted, [(0, 0), (0, 0), *pairs], constant_values=1.0)
        counted = np.pad(counted, _reach(window, counted.shape[2:], sizes))
    else:
        counted = window.pad(counted, sizes, 0.0)
    total = np.zeros((*source.shape[:2], *sizes))
    number = np.zeros((1, 1, *sizes))
    for view in window.views(window.pad(source.astype(np.float64), sizes, 0.0), sizes):
        total += view
    for view in window.views(counted, sizes):
        number += view
    return (total / number).astype(source.dtype)


def _reach(
    window: SlidingWindow, padded_sizes: Sequence[int], sizes: Sequence[int]
) -> list[tuple[int, int]]:
    """What windows need beyond an input that has its padding already."""
    rows = zip(padded_sizes, sizes, window.strides, window.extent, strict=True)
    beyond = [max((count - 1) * step + extent - size, 0) for size, count, step, extent in rows]
    return [(0, 0), (0, 0), *((0, more) for more in beyond)]


class MaxPooling(WindowedPooling):
    """The largest element of each window: [N, C, spatial...] -> [N, C, smaller...].

    float32 and bfloat16 in any format; int8 and uint8 on one scale; other types through oneDNN
    or NumPy. Padding counts as minus infinity, and so does NaN; a window of nothing else is minus
    infinity, by oneDNN in float32 the lowest finite number. ONNX MaxPool, Caffe Pooling MAX
    (ceil_mode), Darknet maxpool (padding at the end). Raises ShapeError where a window fits
    nowhere.
    """

    type = "MaxPooling"

    dilations = attribute(
        tuple[int, ...], (), "distances between a window's elements; () means ones"
    )

    @property
    def window_dilations(self) -> tuple[int, ...]:
        return self.dilations

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [maximum(self, inputs[0])]


class AveragePooling(WindowedPooling):
    """The mean of each window: [N, C, spatial...] -> [N, C, smaller...].

    float32 and bfloat16 in any format; int8 and uint8 with one scale per tensor; other types
    through oneDNN or NumPy. A window with a NaN gives NaN. With count_include_padding the padding
    counts as zeros, though never what lies beyond it.
    ONNX AveragePool, Caffe Pooling AVE. Raises ShapeError where a window fits nowhere.
    """

    type = "AveragePooling"
    average = True

    count_include_padding = attribute(bool, False, "let padding count as elements of value 0")

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [mean(self, inputs[0])]


class GlobalMaxPooling(GlobalPooling):
    """The largest element of each channel, NaN left out: [N, C, spatial...] -> [N, C, 1...].
    ONNX GlobalMaxPool."""

    type = "GlobalMaxPooling"

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [maximum(self, inputs[0])]


class GlobalAveragePooling(GlobalPooling):
    """The mean of each channel: [N, C, spatial...] -> [N, C, 1...]. ONNX GlobalAveragePool,
    Darknet avgpool."""

    type = "GlobalAveragePooling"
    average = True

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [mean(self, inputs[0])]
