"""What the contract's cases look at: an engine's plan, and outputs beside the references'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugrt import BuilderConfig, Engine, ExecutionContext, Layer, Network, Registry, build
from plugrt.core.memory import Aliasing, MemoryPlan
from plugrt.plugins import Array


@pytest.fixture
def registry(third_parties: Path) -> Registry:
    """Everything installed, the third parties' layers included."""
    return Registry.discover()


class Examined:
    """An engine, its plan at the shapes of some inputs, and what it computes from them."""

    def __init__(self, engine: Engine, inputs: Mapping[str, Any]) -> None:
        self.engine = engine
        self.inputs = dict(inputs)
        self.context: ExecutionContext = engine.create_context()
        first = {name: array.copy() for name, array in self.context.execute(inputs).items()}
        self.outputs = self.context.execute(inputs)
        for name, array in first.items():
            np.testing.assert_array_equal(self.outputs[name], array)  # replayed as recorded
        self.recording = self.context.recording({n: a.shape for n, a in self.inputs.items()})

    @property
    def network(self) -> Network:
        """The optimised network."""
        return self.engine.planned.network

    def layer(self, name: str) -> Layer:
        """The layer that kept this name."""
        return next(layer for layer in self.network.layers if layer.name == name)

    @property
    def types(self) -> list[str]:
        """Types of the layers in execution order."""
        return [layer.plugin.type for layer in self.network.layers]

    def aliasing(self, name: str) -> Aliasing:
        """What a layer shares."""
        return self.engine.planned.aliasing[self.layer(name)]

    @property
    def memory(self) -> MemoryPlan:
        """Where everything lies."""
        return self.recording.plan

    def offset(self, tensor: str) -> int:
        """A tensor's place in the arena."""
        placement = self.memory.of(self.network.tensors[tensor])
        assert placement.where == "arena"
        return placement.offset

    @property
    def commands(self) -> int:
        """Commands recorded for these shapes, over all segments and sizes."""
        return self.recording.commands

    @property
    def segments(self) -> int:
        """Parts between which a data-dependent size is read."""
        return len(self.recording.segments)


class Examiner:
    """Builds networks and compares them with their layers' references."""

    def __init__(self) -> None:
        self._open: list[Examined] = []

    def __call__(
        self, network: Network, tolerance: float = 1e-4, *, tune: str = "off", **options: Any
    ) -> Examined:
        """Built, run on random inputs and found equal to the references."""
        random = np.random.default_rng(0)
        inputs = {
            t.name: random.standard_normal(t.desc.sizes).astype(t.dtype.numpy)
            for t in network.inputs
        }
        expected = network.reference([inputs[name] for name in network.input_names])
        found = Examined(build(network, BuilderConfig(threads=2, tune=tune, **options)), inputs)
        self._open.append(found)
        for name, wanted in zip(network.output_names, expected, strict=True):
            close(found.outputs[name], np.asarray(wanted), tolerance)
        return found

    def close(self) -> None:
        """Release contexts and engines."""
        for found in self._open:
            found.context.close()
            found.engine.close()


def close(found: Array, wanted: Array, tolerance: float) -> None:
    """Equal shapes and types; the largest difference against the largest value."""
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    scale = max(float(np.abs(wanted).max(initial=0)), 1e-6)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * scale)


@pytest.fixture
def examine() -> Iterator[Examiner]:
    """Build a network, run it, compare it with the references; returns what the plan holds."""
    examiner = Examiner()
    yield examiner
    examiner.close()


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same at every run."""
    return np.random.default_rng(7)
