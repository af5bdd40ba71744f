"""Algorithms of cuBLASLt by stable names."""

from __future__ import annotations

import re
from typing import Any

from ....errors import DeviceError
from .library import check, ffi, library

# cublasLtMatmulAlgoConfigAttributes_t: our letter, number, C type; the first is the identity.
_FIELDS = (
    ("a", 0, "int32_t"),
    ("t", 1, "uint32_t"),
    ("k", 2, "int32_t"),
    ("r", 3, "uint32_t"),
    ("w", 4, "uint32_t"),
    ("o", 5, "uint32_t"),
    ("s", 6, "uint32_t"),
    ("i", 7, "uint16_t"),
    ("c", 8, "uint16_t"),
)
_NAME = re.compile("lt" + "".join(rf"_{letter}(-?\d+)" for letter, _, _ in _FIELDS))


def name_of(algorithm: Any) -> str:
    """The name of a `cublasLtMatmulAlgo_t *`: identity, tile, split K, reduction, swizzling,
    option, stages, inner shape and cluster shape."""
    name = "lt"
    for letter, number, ctype in _FIELDS:
        value = ffi.new(f"{ctype} *")
        written = ffi.new("size_t *")
        size = ffi.sizeof(ctype)
        check(
            library().cublasLtMatmulAlgoConfigGetAttribute(
                algorithm, number, value, size, written
            ),
            "reading an algorithm",
        )
        name += f"_{letter}{value[0]}"
    return name


def identity_of(name: str) -> int:
    """The algorithm's number in a name. Raises DeviceError for a malformed name."""
    return _values(name)[0]


def configure(algorithm: Any, name: str) -> None:
    """Set everything but the identity of an initialised algorithm. Raises DeviceError."""
    for (_, number, ctype), value in list(zip(_FIELDS, _values(name), strict=True))[1:]:
        check(
            library().cublasLtMatmulAlgoConfigSetAttribute(
                algorithm, number, ffi.new(f"{ctype} *", value), ffi.sizeof(ctype)
            ),
            "configuring an algorithm",
        )


def _values(name: str) -> list[int]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise DeviceError(
            f"{name!r} is no algorithm of cuBLASLt; names look like "
            "'lt_a66_t18_k1_r0_w0_o0_s0_i0_c0'"
        )
    return list(map(int, match.groups()))
