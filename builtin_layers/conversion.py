"""Layers that change the element type: Cast, and the ConvertType that the core inserts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plugins import (
    Array,
    Combination,
    DataType,
    Expression,
    Input,
    LayerPlugin,
    RangeRule,
    SameRange,
    Shape,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
    attribute,
)
from ..plugins.expression import apply, clip, equal, rounded
from . import numpy_fallback
from .quantize import native_kernel
from .shape_arithmetic import from_dims, known_dims

EXCHANGED = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)
"""Types between which one kernel on a GPU changes type and format."""


class ElementConversion(LayerPlugin):
    """Base: each element of the output is a function of the same element of the input, computed
    in one vectorised pass."""

    type = "ElementConversion"
    recordable = True
    devices = ("cpu", "cuda")

    def conversion(self, source: TensorDesc, output: TensorDesc) -> Expression:
        """The function of Input(0); further inputs are `parameters`."""
        raise NotImplementedError

    def parameters(self) -> tuple[Array, ...]:
        """Constant vectors that the function reads behind the input."""
        return ()

    def quantises(self, source: TensorDesc, output: TensorDesc) -> tuple[float, int] | None:
        """(scale, zero point) where the function is to quantise by one of each."""
        return None

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def supportsFormat(self, combination: Combination) -> bool:
        source, output = combination.inputs[0], combination.outputs[0]
        return source.format is output.format and source.quantization is output.quantization is None

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        from ..plugins.native import pointwise

        source, output = request.inputs[0], request.outputs[0]
        if request.epilogue:
            return ()
        conversion = self.conversion(source, output)
        if not pointwise.supports(conversion, [source], output, request.device):
            return numpy_fallback.tactics(request)
        in_place = frozenset({0}) if source.dtype is output.dtype else frozenset()
        first = frozenset({0})
        expression = Tactic(
            "expression", strided_inputs=first, strided_outputs=first, may_alias=in_place
        )
        is_quantised = self.quantises(source, output) is not None
        if request.device == "cpu" and is_quantised and native_kernel.supports(source, output):
            return (native_kernel.TACTIC, expression)
        return (expression,)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        from ..plugins.native import pointwise

        if self.tactic.name == numpy_fallback.NUMPY.name:
            numpy_fallback.record_reference(self, inputs, outputs, stream)
            return
        source, output = inputs[0].desc, outputs[0].desc
        quantised = self.quantises(source, output)
        is_kernel = self.tactic.name == native_kernel.TACTIC.name
        if is_kernel and quantised is not None and native_kernel.supports(source, output):
            native_kernel.record(inputs[0], outputs[0], *quantised, stream)
            return
        if source.format is not output.format:
            from ..plugins.native.cuda import copying

            copying.record_conversion(stream, inputs[0], outputs[0])
            return
        expression = self.conversion(source, output)
        vectors = [_packed(stream, vector) for vector in self.parameters()]
        pointwise.record(stream, expression, [inputs[0], *vectors], outputs[0])


class Cast(ElementConversion):
    """Another element type: [any shape] -> the same. ONNX Cast.

    Floating point to integers truncates and saturates, NaN becoming 0; integers to narrower ones
    wrap; to bool is "not zero". Types without a native pass (8-bit floats, 4 bits, complex) run
    through NumPy.
    """

    type = "Cast"

    to: attribute[DataType] = attribute(DataType, doc="the new element type")

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return self.to

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        # Narrower types are not used for sizes.
        sized = self.to in (DataType.INT32, DataType.INT64)
        dims = known_dims(inputs[0]) if sized else None
        return None if dims is None else from_dims(dims, self.to)

    def conversion(self, source: TensorDesc, output: TensorDesc) -> Expression:
        return _truth(Input(0)) if self.to is DataType.BOOL else Input(0)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        (source,) = inputs
        if source.dtype.kind == "f" and self.to.numpy.kind in "iu":
            limits = np.iinfo(self.to.numpy)
            whole = np.trunc(np.nan_to_num(source, nan=0, posinf=np.inf, neginf=-np.inf))
            source = _saturated(whole, limits.min, limits.max, self.to)
        return [source.astype(self.to.numpy)]


class ConvertType(ElementConversion):
    """From the type and scale of the input to those of the output, whatever they are: [any shape]
    -> the same. The core's role `cast`; one scale per tensor, rounding half to even, saturating.
    On a GPU it changes the format of floats in the same pass.
    """

    type = "ConvertType"
    role = "cast"

    def supportsFormat(self, combination: Combination) -> bool:
        descs = (combination.inputs[0], combination.outputs[0])
        if descs[0].format is not descs[1].format:
            return combination.device == "cuda" and all(
                desc.quantization is None and desc.dtype in EXCHANGED for desc in descs
            )
        return all(desc.quantization is None or desc.quantization.axis is None for desc in descs)

    def conversion(self, source: TensorDesc, output: TensorDesc) -> Expression:
        value: Expression = Input(0)
        if source.quantization == output.quantization and source.dtype is output.dtype:
            return value
        if source.quantization is not None:
            value = (value - source.quantization.zero_point[0]) * source.quantization.scale[0]
        if output.quantization is None:
            return _truth(value) if output.dtype is DataType.BOOL else value
        (scale,), (zero,) = output.quantization.scale, output.quantization.zero_point
        return stored(value, scale, zero, output.dtype)

    def quantises(self, source: TensorDesc, output: TensorDesc) -> tuple[float, int] | None:
        wanted = output.quantization
        if source.quantization is not None or wanted is None:
            return None
        return wanted.scale[0], wanted.zero_point[0]

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0]]


def stored(
    value: Expression, scale: Expression | float, zero_point: Expression | float, dtype: DataType
) -> Expression:
    """The number that stands for a real value: saturated, integers rounded half to even. 8-bit
    floats have no zero point."""
    if dtype.is_float8:
        return clip(value / scale, -dtype.largest, dtype.largest)
    limits = np.iinfo(dtype.numpy)
    return clip(rounded(value / scale) + zero_point, float(limits.min), float(limits.max))


def _truth(value: Expression) -> Expression:
    return apply("not", equal(value, 0))


def _saturated(values: Array, low: int, high: int, dtype: DataType) -> Array:
    """Whole floating-point values as integers. NumPy's own conversion wraps."""
    result = np.zeros(values.shape, dtype.numpy)
    inside = (values > low) & (values < float(high))
    result[inside] = values[inside].astype(dtype.numpy)
    result[values <= low] = low
    result[values >= float(high)] = high
    return result


def _packed(stream: Stream, vector: Array) -> TensorView:
    return stream.store.pack(("vector", vector.dtype.name, vector.tobytes()), lambda: vector)
