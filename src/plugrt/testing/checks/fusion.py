"""Fused pointwise layers against the same computed afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from plugrt.plugins import Array, Epilogue, EpilogueStep, Input
from plugrt.plugins.expression import logistic, maximum, tanh

from ..cases import Case
from ..comparison import compare
from ..configurations import concrete_outputs, configurations
from ..execution import execute
from ..subject import Subject

_X = Input(0)
UNARY = {
    "relu": maximum(_X, 0),
    "leaky": maximum(_X, _X * 0.1),
    "swish": _X * logistic(_X),
    "affine then tanh": tanh(_X * 0.5 + 0.25),
}


def epilogues(output: Array) -> Iterator[tuple[Epilogue, tuple[Array, ...]]]:
    """Epilogues worth trying on an output, with their operands."""
    for name, expression in UNARY.items():
        yield Epilogue((EpilogueStep(expression, name=name),)), ()
    dtype = output.dtype
    same = np.asarray(np.random.default_rng(7).uniform(-1, 1, output.shape)).astype(dtype)
    residual = EpilogueStep(_X + Input(1), operands=1, name="residual")
    yield Epilogue((residual,)), (same,)
    yield Epilogue((residual, EpilogueStep(UNARY["relu"], name="relu"))), (same,)
    yield Epilogue((EpilogueStep(UNARY["leaky"], name="leaky"), residual)), (same,)
    if output.ndim > 1:
        channels = output.shape[1]
        scale, shift = (np.linspace(a, b, channels).astype(dtype) for a, b in ((1, 2), (-1, 1)))
        step = EpilogueStep(_X * Input(1, axis=1) + Input(2, axis=1), operands=2, name="scale")
        yield Epilogue((step,)), (scale, shift)


def fusion_changes_nothing(subject: Subject) -> None:
    """Each epilogue that a tactic accepts gives what NumPy gives on the unfused result."""
    fused = 0
    for case in subject.main_cases:
        expected = subject.expected(case)
        layer = case.layer()
        outputs = concrete_outputs(layer, case)
        if not outputs or not outputs[0].dtype.is_float or any(
            array.shape != desc.shape for array, desc in zip(expected, outputs, strict=True)
        ):
            continue  # only floats of known size are fused into
        plain = expected[0].astype(outputs[0].dtype.numpy)
        for epilogue, operands in epilogues(plain):
            fused += _try(subject, case, epilogue, operands, expected)
    if not fused:
        raise subject.nothing_ran("no tactic accepts an epilogue")


def _try(
    subject: Subject,
    case: Case,
    epilogue: Epilogue,
    operands: tuple[Array, ...],
    expected: list[Array],
) -> int:
    wanted = [np.asarray(epilogue.apply(expected[0], operands)), *expected[1:]]
    count = 0
    for configuration in configurations(
        case, subject.registry, epilogue=epilogue, operands=operands
    ):
        names = " + ".join(step.name for step in epilogue.steps)
        actual = execute(case.layer(), (*case.inputs, *operands), configuration)
        compare(actual, wanted, f"{case}: {configuration} ({names})", case.tolerance)
        count += 1
    return count
