"""The C kernels of the layer folders, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from ..plugins import DeviceError, Kernel

_reason = ""

if TYPE_CHECKING:
    from ._kernels import ffi, lib
else:
    try:
        from ._kernels import ffi, lib
    except ImportError as error:
        ffi = lib = None
        _reason = str(error)

__all__ = ["INSTRUCTION_SETS", "at_most", "available", "kernel"]

INSTRUCTION_SETS = ("portable", "avx2", "avx512", "avx512_bf16")
"""enum plugrt_instruction_set in layer_kernel.h."""


def available() -> bool:
    """True when the compiled kernels were built and can be loaded."""
    return lib is not None


@contextmanager
def at_most(instruction_set: str) -> Iterator[None]:
    """Inside, kernels with vector types use no newer instructions than one of INSTRUCTION_SETS:
    to compare them. Not while kernels run. Raises ValueError."""
    wanted = INSTRUCTION_SETS.index(instruction_set)
    before = lib.plugrt_instruction_sets
    lib.plugrt_instruction_sets = wanted
    try:
        yield
    finally:
        lib.plugrt_instruction_sets = before


@cache
def kernel(name: str, layout: str) -> Kernel:
    """The kernel that a C file opens with LAYER_KERNEL(name); `layout` as for `Kernel`.

    Raises DeviceError where the extension is missing or older than the sources.
    """
    if lib is None:
        raise DeviceError(
            f"the compiled kernels of plugrt.builtin_layers cannot be loaded ({_reason}); "
            "install plugrt where a C compiler and Python's headers are present, "
            "or from a binary wheel"
        )
    if not hasattr(lib, name):
        raise DeviceError(
            f"plugrt.builtin_layers was built without kernel {name!r}; install plugrt again"
        )
    address = int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))
    return Kernel(address, layout, name, keep=lib)
