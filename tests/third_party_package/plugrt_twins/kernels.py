"""The C kernels of this package, by name."""

from __future__ import annotations

from functools import cache

from plugrt.plugins import Kernel

from ._kernels import ffi, lib


@cache
def kernel(name: str, layout: str) -> Kernel:
    """The kernel that a C file opens with TWIN_KERNEL(name); `layout` as for `Kernel`."""
    address = int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))
    return Kernel(address, layout, name, keep=lib)
