"""Times of a tuned network for builds of the same one with other layers, and what these ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import plugrt


class AskedTimes(dict[str, float]):
    """A timing cache's times, and the keys that a build asked for in vain."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        super().__init__(seconds)
        self.missing: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self.missing.add(key)
        return super().get(key, default)


def without_digest(key: str) -> str:
    """A key without what tells the types of a whole network's layers."""
    return re.sub(r"^(network .* layers) [0-9a-f]+", r"\1", key)


def networks_of(keys: Iterable[str]) -> list[str]:
    """The whole networks that keys are of; each ends in a digest of its layers' types."""
    found = (key.rpartition(" lanes=") for key in keys if key.startswith("network "))
    return sorted({network for network, lanes, _ in found if lanes})


def tell_of_networks(
    cache: plugrt.TimingCache, times: Mapping[str, float], asked: Iterable[str]
) -> None:
    """Give the times of whole networks to those that were asked for in vain."""
    for ours, theirs in zip(networks_of(times), networks_of(asked), strict=True):
        cache.seconds.update(
            {key.replace(ours, theirs): value for key, value in times.items() if ours in key}
        )
