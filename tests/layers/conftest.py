"""Running a layer in every way it offers, against its NumPy reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import (
    Array,
    Combination,
    DataType,
    Epilogue,
    Format,
    LayerPlugin,
    TacticRequest,
    TensorDesc,
)

CheckLayer = Callable[..., list[str]]


def describe(array: Array) -> TensorDesc:
    """The dense, linear description of an array."""
    return TensorDesc(DataType.of(array.dtype), array.shape)


def run_every_tactic(
    plugin: LayerPlugin,
    arrays: Sequence[Array],
    *,
    layout: Format = Format.LINEAR,
    output_layout: Format | None = None,
    constants: Sequence[int] = (),
    epilogue: Epilogue | None = None,
    threads: int = 2,
    rtol: float = 1e-4,
    atol: float = 1e-4,
) -> list[str]:
    """Compare every tactic for the formats with the reference; returns the tactics' names.

    `layout` is the format of activations, inputs of three to five dimensions that are not in
    `constants`; `output_layout` that of the outputs and the epilogue's operands.
    """
    epilogue = epilogue or Epilogue()
    after = output_layout or layout
    own = len(arrays) - epilogue.operands
    inputs = []
    for index, array in enumerate(arrays):
        desc = describe(array)
        wanted = layout if index < own else after
        if index in constants:
            desc = replace(desc, value=array)
        elif wanted.accepts(desc.shape):
            desc = replace(desc, format=wanted)
        inputs.append(desc)
    outputs = [
        replace(desc, format=after if after.accepts(desc.shape) else Format.LINEAR)
        for desc in output_descs(plugin, inputs[:own])
    ]
    expected = plugin.reference(list(arrays[:own]))
    expected[0] = epilogue.apply(expected[0], arrays[own:])
    request = TacticRequest(tuple(inputs), tuple(outputs), epilogue, thread_count=threads)
    if not plugin.supportsFormat(Combination(tuple(inputs[:own]), tuple(outputs))):
        return []
    names = []
    for tactic in plugin.getTactics(request):
        if tactic.accumulates_into is not None:
            first = arrays[tactic.accumulates_into]
            assert first.shape == expected[0].shape, tactic.name
        got = run_layer(
            plugin.clone(), arrays, inputs=inputs, outputs=outputs, constants=constants,
            tactic=tactic, epilogue=epilogue, threads=threads,
        )  # fmt: skip
        for mine, wanted_array in zip(got, expected, strict=True):
            assert mine.shape == wanted_array.shape
            assert mine.dtype == wanted_array.dtype
            np.testing.assert_allclose(
                mine, wanted_array, rtol=rtol, atol=atol, err_msg=f"tactic {tactic.name}"
            )
        names.append(tactic.name)
    return names


@pytest.fixture(scope="session")
def every_tactic() -> CheckLayer:
    """`run_every_tactic`."""
    return run_every_tactic


@pytest.fixture
def rng() -> Any:
    """Random numbers that are the same at every run."""
    return np.random.default_rng(2024)
