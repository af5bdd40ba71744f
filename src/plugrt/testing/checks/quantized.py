"""The layer on int8 tensors with scales, where it accepts such."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from plugrt.plugins import (
    Array,
    Combination,
    DataType,
    Format,
    LayerPlugin,
    PlugrtError,
    Quantization,
    SameRange,
    TacticRequest,
    TensorDesc,
)

from ..cases import Case
from ..configurations import THREADS, concrete_outputs, usable
from ..execution import Configuration, execute
from ..outcome import CheckFailure, NotApplicable
from ..subject import Subject

ALLOWED_STEPS = 1.0
"""Error of an output in units of its scale, beside half a step of rounding."""


def quantized_types(subject: Subject) -> None:
    """Results on int8 inputs are within a step of the reference on the same numbers."""
    if subject.layer_class.supportsFormat is LayerPlugin.supportsFormat:
        raise NotApplicable("it leaves supportsFormat() to the base class, so it is float32 only")
    ran = 0
    for case in subject.cases:
        floats = [k for k in case.activations if _is_float(case.inputs[k])]
        if floats and case.layer().role is None:
            everything = np.concatenate([case.inputs[k].reshape(-1) for k in floats])
            for dtype in (DataType.INT8, DataType.UINT8):
                ran += _run(subject, case, floats, dtype, None)
                ran += _run(subject, case, floats, dtype, range_of(everything, dtype))
    if not ran:
        raise subject.nothing_ran("no tactic takes int8")


def _is_float(array: Array) -> bool:
    return DataType.of(array.dtype) is DataType.FLOAT32


def _run(
    subject: Subject,
    case: Case,
    floats: list[int],
    dtype: DataType,
    common: Quantization | None,
) -> int:
    """Run with a scale per tensor, or with `common` wherever the layer keeps its input's."""
    layer = case.layer()
    stored, descs, real = [], [], []
    for index, (array, desc) in enumerate(zip(case.inputs, case.descs(), strict=True)):
        quantization = None
        if index in floats:
            quantization, kind = common or range_of(array, dtype), dtype
        elif index in case.constants and _is_float(array):
            quantization, kind = layer.inputQuantization(index, case.descs()), DataType.INT8
        if quantization is None:
            stored.append(array)
            descs.append(desc)
            real.append(array)
            continue
        kept = quantize(array, quantization, kind)
        stored.append(kept)
        value = kept if index in case.constants else None
        descs.append(replace(desc, dtype=kind, quantization=quantization, value=value))
        real.append(dequantize(kept, quantization))
    expected = subject.expected(case.with_inputs(real))
    ran = 0
    for configuration in _configurations(
        layer, case, tuple(descs), dtype, expected, common
    ):
        try:
            actual = execute(case.layer(), stored, configuration)
        except PlugrtError as error:
            raise CheckFailure(f"{case}: {configuration} failed: {error}") from error
        _compare(actual, expected, configuration, f"{case}: {configuration}")
        ran += 1
    return ran


def _configurations(
    layer: LayerPlugin,
    case: Case,
    inputs: tuple[TensorDesc, ...],
    dtype: DataType,
    expected: list[Array],
    common: Quantization | None,
) -> Iterator[Configuration]:
    if case.device not in layer.devices and case.device != "cpu":
        return
    described = zip(concrete_outputs(layer, case), expected, strict=True)
    outputs = tuple(
        replace(desc, dtype=dtype, quantization=(
            common
            if common is not None and isinstance(layer.outputRange(index), SameRange)
            else range_of(array, dtype)
        ))
        if desc.dtype.is_float
        else desc
        for index, (desc, array) in enumerate(described)
    )  # fmt: skip
    seen = set()
    for layout in Format:
        given = tuple(
            replace(d, format=layout) if layout.accepts(d.shape) and not d.is_constant else d
            for d in inputs
        )
        results = tuple(
            replace(d, format=layout) if layout.accepts(d.shape) else d for d in outputs
        )
        layouts = tuple(d.format for d in (*given, *results))
        if layouts in seen or not layer.supportsFormat(
            Combination(given, results, case.device)
        ):
            continue
        seen.add(layouts)
        request = TacticRequest(given, results, device=case.device, thread_count=THREADS)
        for tactic in layer.getTactics(request):
            if usable(tactic, request):
                yield Configuration(
                    given, results, tactic, threads=THREADS, device=case.device
                )


def range_of(array: Array, dtype: DataType) -> Quantization:
    """Symmetric int8, or asymmetric uint8, over the values of an array."""
    finite = array[np.isfinite(array)] if array.size else np.zeros(1)
    low, high = min(float(finite.min(initial=0.0)), 0.0), max(float(finite.max(initial=0.0)), 1e-3)
    if dtype is DataType.INT8:
        return Quantization.of(max(high, -low) / 127)
    scale = (high - low) / 255
    return Quantization.of(scale, round(-low / scale))


def quantize(array: Array, quantization: Quantization, dtype: DataType) -> Array:
    """Stored values of real ones."""
    scale, zero = _broadcast(quantization, array.ndim)
    limits = np.iinfo(dtype.numpy)
    rounded: Array = np.rint(array / scale) + zero
    return rounded.clip(limits.min, limits.max).astype(dtype.numpy)


def dequantize(stored: Array, quantization: Quantization) -> Array:
    """Real values of stored ones, in float32."""
    scale, zero = _broadcast(quantization, stored.ndim)
    real: Array = (stored.astype(np.float64) - zero) * scale
    return real.astype(np.float32)


def _broadcast(quantization: Quantization, rank: int) -> tuple[Array, Array]:
    shape = [1] * rank
    if quantization.axis is not None:
        shape[quantization.axis] = -1
    scale = np.asarray(quantization.scale)
    zero = np.broadcast_to(np.asarray(quantization.zero_point), scale.shape)
    return scale.reshape(shape), zero.reshape(shape)


def _compare(
    actual: list[Array], expected: list[Array], configuration: Configuration, where: str
) -> None:
    for index, (array, wanted, desc) in enumerate(
        zip(actual, expected, configuration.outputs, strict=True)
    ):
        if desc.quantization is None:
            continue
        scale = desc.quantization.scale[0]
        limits = np.iinfo(desc.dtype.numpy)
        ends = np.array([limits.min, limits.max], desc.dtype.numpy)
        low, high = dequantize(ends, desc.quantization).astype(np.float64)
        defined = ~np.isnan(wanted)  # NaN has no 8-bit form; infinities saturate
        real = dequantize(array, desc.quantization).astype(np.float64)[defined]
        steps = np.abs(real - np.clip(wanted[defined], low, high)) / scale
        worst = float(steps.max(initial=0.0))
        if worst > ALLOWED_STEPS + 0.5:
            raise CheckFailure(
                f"{where}: output {index} is {worst:.1f} steps of its scale off the reference"
            )
