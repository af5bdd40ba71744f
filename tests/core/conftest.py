"""A local registry, and building and checking networks in a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from plugrt import BuilderConfig, Engine, Network, Registry, build
from plugrt.plugins import Array

Feeds = Mapping[str, Any]
Results = dict[str, Array]
Build = Callable[..., Engine]
Run = Callable[..., Results]


@pytest.fixture
def registry() -> Registry:
    """What is installed, and room for a test's own plug-ins."""
    return Registry(Registry.default())


@pytest.fixture
def network(registry: Registry) -> Network:
    """An empty network."""
    return Network("test", registry)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same at every run."""
    return np.random.default_rng(5)


@pytest.fixture
def quick_build() -> Iterator[Build]:
    """`build` by rules and for two threads; the engines are closed after the test."""
    engines: list[Engine] = []

    def built(network: Network, **options: Any) -> Engine:
        config = BuilderConfig(**{"tune": "off", "threads": 2, **options})
        engines.append(build(network, config))
        return engines[-1]

    yield built
    for engine in engines:
        engine.close()


@pytest.fixture
def run(quick_build: Build) -> Run:
    """Build a network and run it once."""

    def once(network: Network, feeds: Feeds, **options: Any) -> Results:
        with quick_build(network, **options).create_context() as context:
            return context.execute(feeds)

    return once


@pytest.fixture
def agree(run: Run) -> Run:
    """Build a network, run it, and compare it with its layers' references."""

    def compared(
        network: Network, feeds: Feeds, tolerance: float = 1e-5, **options: Any
    ) -> Results:
        results = run(network, feeds, **options)
        wanted = network.reference([feeds[name] for name in network.input_names])
        assert list(results) == network.output_names
        for name, array in zip(network.output_names, wanted, strict=True):
            expected = np.asarray(array)
            assert results[name].shape == expected.shape, name
            assert results[name].dtype == expected.dtype, name
            scale = max(float(np.abs(expected.astype(np.float64)).max(initial=0)), 1e-6)
            np.testing.assert_allclose(
                results[name], expected, rtol=0, atol=tolerance * scale, err_msg=name
            )
        return results

    return compared
