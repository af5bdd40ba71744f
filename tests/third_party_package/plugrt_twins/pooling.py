"""Maximum and average pooling, by a kernel or by oneDNN, whichever is faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from plugrt.plugins import (
    Array,
    Combination,
    DataType,
    DeviceError,
    Epilogue,
    Format,
    LayerPlugin,
    Quantization,
    RangeRule,
    SameRange,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
    attribute,
    format_shape,
)
from plugrt.plugins.native import onednn

from .numpy_path import are_plain, record_reference, tactics
from .onednn_support import (
    PostOps,
    planned_threads,
    post_ops,
    scratch,
    scratch_size,
    worth_trying,
)
from .pooling_by_library import for_gpu, has_kernel, kernel
from .windows import Window, points_of, three

KERNEL = Tactic(
    "kernel", strided_outputs=frozenset({0}), strided_inputs=frozenset({0}), priority=1
)
ONEDNN = "onednn:"

FLOATS = (DataType.FLOAT32, DataType.BFLOAT16, DataType.FLOAT16)

INTEGERS = (DataType.INT8, DataType.UINT8)

AS_STORED = Quantization((1.0,))


class Pooling(LayerPlugin):
    """What both have in common: [N, C, spatial...] -> [N, C, windows...]."""

    type = "Twins.Pooling"
    recordable = True
    devices = ("cpu", "cuda")
    kind: ClassVar[str]
    """Name of the C kernels."""

    kernel: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...], doc="window size per spatial dimension"
    )
    strides = attribute(tuple[int, ...], (), "steps per spatial dimension; () means ones")
    padding = attribute(
        tuple[int, ...], (), "begin per spatial dimension, then end; () means zeros"
    )
    ceil_mode = attribute(bool, False, "round output sizes up: windows may leave the padding")

    @property
    def gaps(self) -> tuple[int, ...]:
        """Distances between the elements of a window; () means ones."""
        return ()

    @property
    def includes_padding(self) -> bool:
        """Whether padding takes part in means."""
        return False

    @property
    def algorithm(self) -> onednn.Algorithm:
        """oneDNN's name for it."""
        return onednn.Algorithm.POOLING_MAX

    @property
    def window(self) -> Window:
        """The window. Raises ShapeError when padding exceeds it."""
        window = Window.of(self.type, self.kernel, self.strides, self.gaps, self.padding)
        for extent, before, after in zip(window.extent, window.before, window.after, strict=True):
            if max(before, after) >= extent:
                raise ShapeError(
                    f"{self.type}: with padding {self.padding} some windows of {self.kernel} see "
                    "nothing of the input; pad less than the window's size"
                )
        return window

    def counts(self, shape: Shape) -> tuple[Any, ...]:
        """Windows per spatial dimension of an input of this shape."""
        return self.window.counts(self.type, shape[2:], self.ceil_mode)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        if len(shape) < 3:
            raise ShapeError(
                f"{self.type}: the input must be N x C x spatial..., not {format_shape(shape)}"
            )
        return (*shape[:2], *self.counts(shape))

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)

    def supportsFormat(self, combination: Combination) -> bool:
        (source,), (result,) = combination.inputs, combination.outputs
        if (source.format, source.dtype) != (result.format, result.dtype):
            return False
        scaled = source.dtype.is_float8 and source.quantization is not None
        if source.dtype not in (*FLOATS, *INTEGERS) and not scaled:
            return are_plain(source, result)
        if source.dtype in FLOATS[1:]:
            return True
        return self.scales_fit(source, result)

    def scales_fit(self, source: TensorDesc, result: TensorDesc) -> bool:
        """Whether the kernels can go from one quantization to the other."""
        return source.quantization == result.quantization

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda":
            return self._for_gpu(request.epilogue).getTactics(request)
        found = []
        if not request.epilogue and has_kernel(request.inputs[0]):
            found.append(KERNEL)
        found += [Tactic(name) for name, _, _ in self._primitives(request)]
        return found or tactics(request)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        if not self.tactic.name.startswith(ONEDNN):
            return 0
        request = TacticRequest(
            tuple(inputs), tuple(outputs), self.epilogue, thread_count=planned_threads()
        )
        return scratch_size(primitive for _, primitive, _ in self._primitives(request))

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        if stream.device == "cuda":
            self._for_gpu(self.epilogue).enqueue(inputs, outputs, workspace, stream)
            return
        request = TacticRequest(
            tuple(view.desc for view in inputs), (outputs[0].desc,), self.epilogue,
            thread_count=stream.thread_count,
        )  # fmt: skip
        found = self._primitives(request) if self.tactic.name.startswith(ONEDNN) else []
        if found:
            _, primitive, fused = next((f for f in found if f[0] == self.tactic.name), found[0])
            bindings: dict[int, onednn.Binding] = {
                onednn.Argument.SRC: inputs[0],
                onednn.Argument.DST: outputs[0],
                **{argument: inputs[position] for argument, position in fused.reads},
                **scratch(primitive, workspace, stream),
            }
            primitive.record(stream, bindings)
        elif has_kernel(inputs[0].desc) and not self.epilogue:
            self._launch(inputs[0], outputs[0], stream)
        else:
            record_reference(self, inputs, outputs, stream)

    def _for_gpu(self, epilogue: Epilogue) -> LayerPlugin:
        return for_gpu(self.kind, self.attribute_values, self.tactic, epilogue)

    def _launch(self, source: TensorView, result: TensorView, stream: Stream) -> None:
        volumes, point, input_strides = points_of(source.desc)
        _, _, output_strides = points_of(result.desc)
        window = self.window.in_three_dimensions()
        stored, wanted = (v.desc.quantization or AS_STORED for v in (source, result))
        stream.launch(
            kernel(self.kind, source.desc),
            source, result, volumes, point,
            three(source.shape[2:], 1), three(result.shape[2:], 1),
            window.size, window.strides, window.dilations, window.before, window.after,
            int(self.includes_padding), stored.zero_point[0], wanted.zero_point[0],
            stored.scale[0] / wanted.scale[0], input_strides, output_strides,
        )  # fmt: skip

    def _primitives(self, request: TacticRequest) -> list[tuple[str, onednn.Primitive, PostOps]]:
        """oneDNN's implementations by tactic name, with the epilogue as post-ops."""
        source, result = request.inputs[0], request.outputs[0]
        if source.dtype not in FLOATS or not onednn.available():
            return []
        window = self.window
        after = window.exact_after(source.sizes[2:], result.sizes[2:])
        # oneDNN lets what lies beyond the padding count, too.
        beyond = any(mine > theirs for mine, theirs in zip(after, window.after, strict=True))
        fused = post_ops(request.epilogue, request.inputs, result)
        if fused is None or (self.includes_padding and beyond):
            return []
        # oneDNN 3.2 transposes a linear tensor for itself, but not what a post-op reads.
        if source.format is Format.LINEAR and fused.reads:
            return []
        try:
            found = list(
                onednn.implementations(
                    onednn.pooling, self.algorithm, onednn.MemoryDesc.of(source),
                    onednn.MemoryDesc.of(result), kernel=window.size, strides=window.strides,
                    padding_before=window.before, padding_after=after,
                    dilations=window.dilations,
                    attributes=onednn.Attributes(post_ops=fused.operations),
                    threads=request.thread_count,
                )
            )  # fmt: skip
        except DeviceError:
            return []
        return [(ONEDNN + p.implementation, p, fused) for p in worth_trying(found)]


class MaxPooling(Pooling):
    """The largest element of each window; padding and NaN count as minus infinity. Twin of
    MaxPooling."""

    type = "Twins.MaxPooling"
    kind = "max"

    dilations = attribute(
        tuple[int, ...], (), "distances between a window's elements; () means ones"
    )

    @property
    def gaps(self) -> tuple[int, ...]:
        return self.dilations

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        (source,) = inputs
        least = np.iinfo(source.dtype).min if source.dtype.kind in "iu" else -np.inf
        seen = self.window.contents(source, self.counts(source.shape), least)
        return [np.fmax.reduce(seen, axis=_window_axes(source))]


class AveragePooling(Pooling):
    """The mean of each window, of elements or also of padding, which is 0. Twin of
    AveragePooling."""

    type = "Twins.AveragePooling"
    kind = "average"

    count_include_padding = attribute(bool, False, "let padding count as elements of value 0")

    @property
    def includes_padding(self) -> bool:
        return self.count_include_padding

    @property
    def algorithm(self) -> onednn.Algorithm:
        if self.count_include_padding:
            return onednn.Algorithm.POOLING_AVG_INCLUDE_PADDING
        return onednn.Algorithm.POOLING_AVG_EXCLUDE_PADDING

    def scales_fit(self, source: TensorDesc, result: TensorDesc) -> bool:
        scales = (source.quantization, result.quantization)
        if source.dtype is DataType.FLOAT32:
            return scales == (None, None)
        return all(scale is not None and scale.axis is None for scale in scales)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        (source,) = inputs
        counts, axes = self.counts(source.shape), _window_axes(source)
        total = self.window.contents(source.astype(np.float64), counts, 0.0).sum(axis=axes)
        number = self._counted(source.shape, counts).sum(axis=axes)
        return [(total / number).astype(source.dtype)]

    def _counted(self, shape: Sequence[int], counts: Sequence[int]) -> Array:
        """1 for what each window counts, in the form of `Window.contents`."""
        window = self.window
        inside = np.ones((1, 1, *shape[2:]))
        if not self.count_include_padding:
            return window.contents(inside, counts, 0.0)
        widths = list(zip(window.before, window.after, strict=True))
        padded = np.pad(inside, [(0, 0), (0, 0), *widths], constant_values=1.0)
        none = (0,) * len(window.size)
        unpadded = Window(window.size, window.strides, window.dilations, none, none)
        return unpadded.contents(padded, counts, 0.0)


def _window_axes(source: Array) -> tuple[int, ...]:
    return tuple(range(source.ndim, 2 * source.ndim - 2))
