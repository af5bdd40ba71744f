"""Access to the compiled extension, with a clear error where it was not built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import DeviceError
from .openmp import short_spinning

if TYPE_CHECKING:
    from ._native import ffi, lib

    _reason: str
else:
    try:
        with short_spinning():
            from ._native import ffi, lib
    except ImportError as error:
        ffi = lib = None
        _reason = str(error)

__all__ = ["extension_available", "ffi", "kernel_address", "lib", "require_extension"]

MESSAGE_CAPACITY = 512


def extension_available() -> bool:
    """True when the compiled extension was built and can be loaded."""
    return lib is not None


def require_extension() -> None:
    """Raise DeviceError, with what to do, when the compiled extension is missing."""
    if lib is None:
        raise DeviceError(
            f"the compiled part of plugrt.plugins.native cannot be loaded ({_reason}); "
            "install plugrt where a C compiler and Python's headers are present, "
            "or from a binary wheel"
        )


def kernel_address(name: str) -> int:
    """The address of a kernel of the extension, for `Stream.launch_raw`."""
    require_extension()
    return int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))


def text_of(message: Any) -> str:
    """The NUL-terminated text at a `char *`."""
    text = ffi.string(message)
    return text.decode(errors="replace") if isinstance(text, bytes) else text
