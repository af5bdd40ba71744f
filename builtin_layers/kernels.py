"""The C kernels of the layer folders, by name."""

from __future__ import annotations

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

__all__ = ["available", "kernel"]


def available() -> bool:
    """True when the compiled kernels were built and can be loaded."""
    return lib is not None


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
