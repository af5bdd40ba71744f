"""DLPack's table of C functions, by which PyTorch tells where a tensor lies in a microsecond.

`__dlpack__` of a tensor takes tens of them. The table is an attribute of the tensor's type
(DLPack 1.2 and newer, `dlpack.h`: DLPackExchangeAPI).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .dlpack import CUDA, Tensor

_NAME = b"dlpack_exchange_api"
_MAJOR = 1


class _Header(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("former", ctypes.c_void_p)
    ]  # fmt: skip


class _Table(ctypes.Structure):
    _fields_ = [
        ("header", _Header), ("allocate", ctypes.c_void_p), ("managed_from", ctypes.c_void_p),
        ("managed_to", ctypes.c_void_p), ("tensor_from", ctypes.c_void_p),
        ("current_work_stream", ctypes.c_void_p),
    ]  # fmt: skip


# PYFUNCTYPE: they are called with the interpreter's lock, and their exceptions are raised.
_TensorFrom = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p)
_CurrentStream = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p)

_pointer_of: Any = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


@dataclass(frozen=True)
class Exchange:
    """A type's functions."""

    tensor_from: Any
    current_work_stream: Any

    def tensor_of(self, value: Any) -> Tensor:
        """What a value is; its shape and strides are readable while nobody changes it. Nothing is
        waited for. Raises BufferError for one that cannot be described."""
        found = Tensor()
        self.tensor_from(value, ctypes.addressof(found))
        return found

    def stream_of(self, ordinal: int) -> int:
        """The number of the stream that the library works on at present, on one GPU."""
        found = ctypes.c_void_p()
        self.current_work_stream(CUDA, ordinal, ctypes.addressof(found))
        return found.value or 0


@lru_cache(maxsize=64)
def exchange_of(kind: type) -> Exchange | None:
    """The functions for values of a type; None where it has none that are known here."""
    capsule = getattr(kind, "__dlpack_c_exchange_api__", None)
    if type(capsule).__name__ != "PyCapsule":
        return None
    address = _pointer_of(capsule, _NAME)
    while address:
        table = _Table.from_address(address)
        if table.header.major == _MAJOR and table.tensor_from and table.current_work_stream:
            return Exchange(
                _TensorFrom(table.tensor_from), _CurrentStream(table.current_work_stream)
            )
        address = table.header.former
    return None
