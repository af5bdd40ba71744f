"""Sizes of symbolic dimensions at the least, best and largest shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from ...plugins import Shape, ShapeError, format_shape
from ...plugins.dims import evaluate_shape, is_static, symbols
from ..graph import Network
from ..runtime.planned import sizes_of_inputs
from .config import BuilderConfig, ShapeProfile

Range = tuple[int, int, int]
"""Least, best and largest value of a size."""


@dataclass(frozen=True)
class SizeProfile:
    """Values of every input symbol. `limited` names those whose range is enforced."""

    minimum: Mapping[str, int]
    optimum: Mapping[str, int]
    maximum: Mapping[str, int]
    limited: frozenset[str] = frozenset()

    def concretise(self, shape: Shape) -> tuple[int, ...]:
        """A shape at the optimum; data-dependent sizes at their bound."""
        return concrete_shape(shape, self.optimum)

    @property
    def distinct(self) -> list[Mapping[str, int]]:
        """The optimum first, then the other sizes that differ from it."""
        found = [self.optimum]
        for sizes in (self.minimum, self.maximum):
            if sizes not in found:
                found.append(sizes)
        return found

    @property
    def unlimited(self) -> Mapping[str, int] | None:
        """Other sizes that may come as well, where some have no range."""
        free = dict.fromkeys(self.optimum.keys() - self.limited, 2)
        return {**self.optimum, **free} if free else None


def concrete_shape(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A shape at these sizes, unknown ones being 1; data-dependent sizes at their bound."""
    if is_static(shape):
        return shape  # type: ignore[return-value]
    free = {name: 1 for name, found in symbols(shape).items() if found.bound is None}
    return evaluate_shape(shape, {**free, **sizes})


def size_profile(network: Network, config: BuilderConfig) -> SizeProfile:
    """Symbol values from the configuration.

    Raises ShapeError for a profile of an unknown input, one that does not fit it or another
    profile, or is not ordered.
    """
    ranges: dict[str, Range] = {}
    for name, profile in config.profiles.items():
        for size, found in _ranges(network, name, profile).items():
            if ranges.setdefault(size, found) != found:
                raise ShapeError(
                    f"profile of input {name!r}: size {size} is {_text(found)}; another profile "
                    f"says {_text(ranges[size])}: give one range per size"
                )
    if config.max_batch_size is not None:
        most = config.max_batch_size
        for tensor in network.inputs:
            for size in symbols(tensor.shape[:1]):
                ranges.setdefault(size, (1, most, most))
    names = network.free_symbols
    least, best, largest = (
        {name: ranges.get(name, (1, 1, 1))[k] for name in names} for k in range(3)
    )
    return SizeProfile(least, best, largest, frozenset(ranges))


def _ranges(network: Network, name: str, profile: ShapeProfile) -> dict[str, Range]:
    """The range of every size in the shape of one input."""
    inputs = {t.name: t for t in network.inputs}
    if name not in inputs:
        raise ShapeError(f"a profile names input {name!r}; the network has: {', '.join(inputs)}")
    shapes = (profile.minimum, profile.optimum, profile.maximum)
    for low, high in pairwise(shapes):
        if len(low) != len(high) or any(a > b for a, b in zip(low, high, strict=True)):
            raise ShapeError(
                f"profile of input {name!r}: {format_shape(low)} is not within "
                f"{format_shape(high)}; give minimum <= optimum <= maximum"
            )
    if min(profile.minimum, default=0) < 0:
        raise ShapeError(f"profile of input {name!r}: {format_shape(profile.minimum)} is negative")
    least, best, most = (sizes_of_inputs([inputs[name]], [shape]) for shape in shapes)
    return {size: (least[size], best[size], most[size]) for size in least}


def _text(found: Range) -> str:
    low, best, high = found
    return f"{low} to {high}, best {best}"
