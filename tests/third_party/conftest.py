"""A registry that knows the twins, and one in which they have taken over."""

from pathlib import Path

import pytest

from plugrt import Registry


@pytest.fixture
def registry(third_parties: Path) -> Registry:
    """Everything installed, the third parties included."""
    return Registry.discover()


@pytest.fixture
def twins(registry: Registry) -> dict[str, str]:
    """Layer type -> type of its twin."""
    names = registry.names("layers")
    found = {}
    for twin in names:
        vendor, _, name = twin.partition(".")
        for original in (name, f"Darknet.{name}"):
            if vendor == "Twins" and original in names:
                found[original] = twin
    return found


@pytest.fixture
def taken_over(registry: Registry, twins: dict[str, str]) -> Registry:
    """A registry that denies what has a twin, and uses the twin instead."""
    local = Registry(registry)
    for original, twin in twins.items():
        local.deny(original)
        local.substitute(original, by=twin)
    return local
