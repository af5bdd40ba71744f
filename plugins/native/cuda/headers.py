"""The headers of this folder, for sources that include them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent

NAMES = (
    "storage.cuh", "element_types.cuh", "expression.cuh", "division.cuh", "dependency.cuh",
    "matrix_instructions.cuh", "matrix_tiles.cuh", "clusters.cuh", "element_place.cuh",
    "sorting.cuh",
)
"""storage.cuh: loads and stores, with element_types.cuh: what is stored, and its conversion;
expression.cuh: the operators of expressions; division.cuh: fast division by sizes;
dependency.cuh: beginning before another kernel has ended; matrix_instructions.cuh: tensor cores,
with matrix_tiles.cuh: tiles in shared memory; clusters.cuh: blocks that see each other's shared
memory; element_place.cuh: which element a thread is for; sorting.cuh: sorting by a block."""

DEPENDENCY = '#include "dependency.cuh"'
"""What a source says whose kernels are launched so."""

DIVISOR = "3I"
"""The layout of a Divisor of division.cuh; of n of them f"{3 * n}I"."""


@cache
def device_headers() -> Mapping[str, str]:
    """Name -> text of every header, as `CudaSource` takes them."""
    return {name: (_FOLDER / name).read_text(encoding="utf-8") for name in NAMES}


def divisor(size: int) -> tuple[int, int, int]:
    """The fields of division.cuh's Divisor for a size of at least 1.

    With s = ceil(log2(size)) the multiplier is ceil(2^(31 + s) / size), which has 32 bits and is
    too large by less than one part in 2^31: quotients of numbers below 2^31 are exact.
    """
    if size == 1:
        return (1, 0, 0)
    shift = (size - 1).bit_length()
    return (size, -(-(1 << (31 + shift)) // size), shift - 1)


def divisors(sizes: Sequence[int]) -> list[int]:
    """The fields of several Divisors, one behind the other."""
    return [field for size in sizes for field in divisor(size)]
