"""The compiled replay, with a clear error where it was not built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....plugins.errors import DeviceError
from ....plugins.native import _extension as native

_reason = ""
if TYPE_CHECKING:
    from ..._runtime import ffi, lib
else:
    try:
        from ..._runtime import ffi, lib
    except ImportError as error:
        ffi = lib = None
        _reason = str(error)

__all__ = ["ffi", "lib", "require_runtime", "thread_services"]

_services: Any = None


def require_runtime() -> None:
    """Raise DeviceError, with what to do, when the compiled replay is missing."""
    if lib is None:
        raise DeviceError(
            f"the compiled runtime of plugrt cannot be loaded ({_reason}); install plugrt "
            "where a C compiler and Python's headers are present, or from a binary wheel"
        )


def thread_services() -> Any:
    """The table of thread functions that a replay gets from plugrt.plugins.native."""
    global _services
    if _services is None:
        require_runtime()
        table = ffi.new("plugrt_thread_services *")
        for field, name in (
            ("prime", "plugrt_prime_threads"),
            ("set_num_threads", "plugrt_set_num_threads"),
            ("get_num_threads", "plugrt_get_num_threads"),
            ("flush_denormals", "plugrt_flush_denormals"),
        ):
            kind = ffi.typeof(getattr(table, field))
            setattr(table, field, ffi.cast(kind, native.kernel_address(name)))
        _services = table
    return _services
