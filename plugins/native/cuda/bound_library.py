"""What NVIDIA's libraries have in common, once they are bound: whether they can be used, and one
handle of each on every GPU."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, cast

from ...errors import DeviceError
from .devices import Context, current_context
from .devices import unavailable_reason as no_gpu_reason
from .driver_calls import CudaError

OneHandle = TypeVar("OneHandle", bound="LibraryHandle")


def reason_without(library: Callable[[], Any]) -> str | None:
    """Why what `library` loads cannot be used, with what to do; None when it can."""
    reason = no_gpu_reason()
    if reason is not None:
        return reason
    try:
        library()
    except DeviceError as error:
        return str(error)
    return None


class LibraryHandle:
    """A library at work on one GPU; get it by `of(context)`. It goes with the context."""

    name: ClassVar[str]
    """The library's, for people."""

    _creating: ClassVar[Any] = threading.RLock()  # reentrant, as a collector may run anything

    def __init__(self, context: Context) -> None:
        with context.current():
            self.address = self.create(f"starting {self.name} on GPU {context.ordinal}")
        end = weakref.finalize(self, _destroy, context.handle, self.destroy, self.address)
        end.atexit = False

    @staticmethod
    def create(doing: str) -> Any:
        """The library's own handle. Raises the library's error, which says what it was doing."""
        raise NotImplementedError

    @staticmethod
    def destroy(address: Any) -> None:
        """Give the library's own handle back."""
        raise NotImplementedError

    @classmethod
    def of(cls: type[OneHandle], context: Context) -> OneHandle:
        """The handle of this GPU, made at the first request."""
        with cls._creating:
            found = context.attachments.get(cls.name)
            if found is None:
                found = context.attachments[cls.name] = cls(context)
            return cast(OneHandle, found)


def _destroy(context: Any, destroy: Callable[[Any], None], address: Any) -> None:
    try:
        with current_context(context):
            destroy(address)
    except CudaError:  # after a fatal error nothing can be released
        return
