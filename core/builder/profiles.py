"""Sizes of symbolic dimensions at the least, best and largest shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from ...plugins import Dim, Shape, ShapeError, format_shape
from ...plugins.dims import evaluate_shape, symbols
from ..graph import Network
from ..runtime.planned import PlannedNetwork
from .config import BuilderConfig


@dataclass(frozen=True)
class SizeProfile:
    """Values of every input symbol. `limited` names those whose range is enforced."""

    minimum: Mapping[str, int]
    optimum: Mapping[str, int]
    maximum: Mapping[str, int]
    limited: frozenset[str] = frozenset()

    def concretise(self, shape: Shape) -> tuple[int, ...]:
        """A shape at the optimum; data-dependent sizes at their bound."""
        known = dict.fromkeys(symbols(shape), 1)
        free = {n: v for n, v in known.items() if symbols(shape)[n].bound is None}
        return evaluate_shape(shape, {**free, **self.optimum})

    @property
    def distinct(self) -> list[Mapping[str, int]]:
        """The optimum first, then the other sizes that differ from it."""
        found = [self.optimum]
        for sizes in (self.minimum, self.maximum):
            if sizes not in found:
                found.append(sizes)
        return found


def size_profile(network: Network, config: BuilderConfig) -> SizeProfile:
    """Symbol values from the configuration.

    Raises ShapeError for a profile of an unknown input, or one that does not fit it or is
    not ordered.
    """
    names = network.free_symbols
    least, best, most = (dict.fromkeys(names, 1) for _ in range(3))
    limited: set[str] = set()
    if config.max_batch_size is not None:
        for tensor in network.inputs:
            if tensor.shape and isinstance(tensor.shape[0], Dim):
                for name in symbols(tensor.shape[0]):
                    best[name] = most[name] = config.max_batch_size
                    limited.add(name)
    planned = PlannedNetwork(network, {})
    inputs = {t.name: t for t in network.inputs}
    for name, profile in config.profiles.items():
        if name not in inputs:
            raise ShapeError(
                f"a profile names input {name!r}; the network has: {', '.join(inputs)}"
            )
        single = Network("profile", network.registry)
        single.inputs = [inputs[name]]
        planned = PlannedNetwork(single, {})
        shapes = (profile.minimum, profile.optimum, profile.maximum)
        for low, high in pairwise(shapes):
            if len(low) != len(high) or any(a > b for a, b in zip(low, high, strict=True)):
                raise ShapeError(
                    f"profile of input {name!r}: {format_shape(low)} is not within "
                    f"{format_shape(high)}; give minimum <= optimum <= maximum"
                )
        for values, shape in zip((least, best, most), shapes, strict=True):
            values.update(planned.sizes_of([shape]))
        limited.update(symbols(inputs[name].shape))
    return SizeProfile(least, best, most, frozenset(limited))
