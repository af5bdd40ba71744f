"""Every registered layer records on a stream of a GPU what the conformance kit will run there;
this needs no GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plugrt.plugin_registry import Registry
from plugrt.plugins import Array, DataType, PlugrtError, Stream
from plugrt.plugins.native import cuda
from plugrt.plugins.native.cuda import CudaKernel
from plugrt.testing import cases_of, check_layer, execution
from plugrt.testing.cases import Case
from plugrt.testing.checks.fusion import epilogues
from plugrt.testing.configurations import (
    NARROW_FLOATS,
    concrete_outputs,
    configurations,
    has_bodies,
    in_type,
)
from plugrt.testing.execution import Configuration
from plugrt.testing.subject import MAIN_CASES
from tests.cuda.kernel_harness import CollectingStream

REGISTRY = Registry.default()


class DryBench:
    """Takes memory and records, with nothing to replay on."""

    def __init__(self) -> None:
        self._slots = 0
        self.kernels: list[CudaKernel] = []

    def bind(self, memory: Array) -> int:
        self._slots += 1
        return self._slots

    def record(self, name: str, put: Callable[[Stream], None]) -> Any:
        stream = CollectingStream()
        put(stream)
        self.kernels = stream.kernels
        return None


def given_cases(layer: str) -> Iterator[Case]:
    """The kit's cases, the first ones also in 16-bit floats."""
    cases = [
        replace(case, device="cuda") for case in cases_of(REGISTRY.layer(layer), REGISTRY)
    ]
    yield from cases
    for case in cases[:MAIN_CASES]:
        if any(DataType.of(array.dtype) is DataType.FLOAT32 for array in case.inputs):
            yield from (in_type(case, dtype) for dtype in NARROW_FLOATS)


def given_configurations(case: Case) -> Iterator[tuple[Configuration, tuple[Array, ...]]]:
    """Plain, strided and with epilogues, with the arrays of all inputs."""
    try:
        outputs = concrete_outputs(case.layer(), case)
    except PlugrtError:
        return  # refused at definition
    for strided in (False, True):
        for found in configurations(case, REGISTRY, strided=strided):
            yield found, case.inputs
    if has_bodies(case.layer()) or not outputs or not outputs[0].dtype.is_float:
        return
    for epilogue, operands in epilogues(np.zeros(outputs[0].sizes, outputs[0].dtype.numpy)):
        for found in configurations(case, REGISTRY, epilogue=epilogue, operands=operands):
            yield found, (*case.inputs, *operands)


def kernels_of(
    case: Case, found: Configuration, arrays: tuple[Array, ...], patch: pytest.MonkeyPatch
) -> list[CudaKernel]:
    """The kernels that a configuration launches."""
    bench = DryBench()
    patch.setattr(execution, "workbench", lambda *arguments: bench)
    layer = case.layer()
    layer.initialize()
    try:
        execution.record(layer, arrays, found)
    finally:
        layer.terminate()
    return bench.kernels


@pytest.mark.parametrize("layer", REGISTRY.names("layers"))
def test_configurations_record(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = 0
    for case in given_cases(layer):
        for found, arrays in given_configurations(case):
            try:
                recorded += bool(kernels_of(case, found, arrays, monkeypatch))
            except Exception as error:
                raise AssertionError(f"{case}: {found}: {error!r}") from error
    bodies = any(has_bodies(case.layer()) for case in given_cases(layer))
    assert bool(recorded) != bodies


def test_checking_without_a_gpu_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "unavailable_reason", lambda: "there is none; buy one")
    report = check_layer("ReLU", device="cuda")
    assert not report.passed
    assert report.problem == "there is none; buy one"
