"""Axes given by number, negative ones counted from the end."""

from __future__ import annotations

from collections.abc import Sequence

from ..plugins import ShapeError


def normalize_axis(owner: str, axis: int, rank: int) -> int:
    """`axis` in [0, rank). Raises ShapeError naming `owner` when the tensor has no such axis."""
    if not -rank <= axis < rank:
        raise ShapeError(
            f"{owner}: axis {axis} does not exist in a tensor of rank {rank}; use one of "
            f"{-rank} to {rank - 1}" if rank else f"{owner}: a scalar has no axis {axis}"
        )
    return axis % rank


def normalize_axes(owner: str, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Distinct axes in [0, rank), in the given order. Raises ShapeError for a repeated one."""
    normalized = tuple(normalize_axis(owner, axis, rank) for axis in axes)
    if len(set(normalized)) < len(normalized):
        raise ShapeError(f"{owner}: axes {tuple(axes)} name an axis twice; name each once")
    return normalized
