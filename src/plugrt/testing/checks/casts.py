"""Layers of role cast: between any types and scales."""

from __future__ import annotations

from itertools import product

import numpy as np

from plugrt.plugins import (
    Array,
    Combination,
    DataType,
    Format,
    Quantization,
    TacticRequest,
    TensorDesc,
)

from ..comparison import compare
from ..configurations import THREADS
from ..execution import Configuration, execute
from ..generation import sample
from ..outcome import CheckFailure, NotApplicable
from ..subject import Subject
from .quantized import dequantize, quantize

SHAPE = (2, 16, 3, 5)
KINDS: tuple[tuple[DataType, Quantization | None], ...] = (
    (DataType.FLOAT32, None),
    (DataType.FLOAT16, None),
    (DataType.BFLOAT16, None),
    (DataType.FLOAT8_E4M3FN, None),
    (DataType.FLOAT8_E5M2, None),
    (DataType.INT8, Quantization((0.02,))),
    (DataType.INT8, Quantization((0.013,), (3,))),
    (DataType.UINT8, Quantization((0.017,), (120,))),
    (DataType.INT8, Quantization(tuple(0.01 + 0.001 * k for k in range(16)), (0,), 1)),
)


def casts(subject: Subject) -> None:
    """Every pair of types and scales that the layer accepts, in every format."""
    if subject.layer_class.role != "cast":
        raise NotApplicable("its role is not cast")
    ran = 0
    for (before, after), layout in product(product(KINDS, KINDS), Format):
        if before != after:
            ran += _try(subject, _desc(*before, layout), _desc(*after, layout))
    if not ran:
        raise CheckFailure("its role is cast, but it accepts none of the usual pairs of types")


def _desc(dtype: DataType, quantization: Quantization | None, layout: Format) -> TensorDesc:
    return TensorDesc(dtype, SHAPE, layout, quantization=quantization)


def _try(subject: Subject, source: TensorDesc, target: TensorDesc) -> bool:
    layer = subject.layer_class()
    if not layer.supportsFormat(
        Combination((source,), (target,), subject.device)
    ):
        return False
    stored, real = _sample(source)
    expected = real if target.quantization is None else quantize(
        real, target.quantization, target.dtype
    )
    request = TacticRequest(
        (source,), (target,), device=subject.device, thread_count=THREADS
    )
    tactics = list(layer.getTactics(request))
    for tactic in tactics:
        configuration = Configuration(
            (source,), (target,), tactic, threads=THREADS, device=subject.device
        )
        (actual,) = execute(subject.layer_class(), [stored], configuration)
        where = f"{source} {source.quantization} -> {target} {target.quantization}"
        if target.quantization is None:
            compare([actual], [expected.astype(target.dtype.numpy)], where)
        elif np.abs(actual.astype(int) - expected.astype(int)).max() > 1:
            raise CheckFailure(f"{where}: differs by more than one step")
    return bool(tactics)


def _sample(desc: TensorDesc) -> tuple[Array, Array]:
    """Stored contents and their meaning."""
    values = sample(SHAPE, DataType.FLOAT32, seed=5)
    if desc.quantization is None:
        stored = values.astype(desc.dtype.numpy)
        return stored, stored.astype(np.float32)
    stored = quantize(values, desc.quantization, desc.dtype)
    return stored, dequantize(stored, desc.quantization)
