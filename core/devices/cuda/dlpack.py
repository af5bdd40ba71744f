"""The C structures of DLPack (version 0.8), by ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ....plugins import DataType, ShapeError

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13
"""DLDeviceType."""

_CODES = {"int": 0, "uint": 1, "float": 2, "bfloat": 4, "bool": 6}
_TYPES = {
    DataType.FLOAT32: ("float", 32), DataType.FLOAT64: ("float", 64),
    DataType.FLOAT16: ("float", 16), DataType.BFLOAT16: ("bfloat", 16),
    DataType.INT8: ("int", 8), DataType.INT16: ("int", 16), DataType.INT32: ("int", 32),
    DataType.INT64: ("int", 64), DataType.UINT8: ("uint", 8), DataType.UINT16: ("uint", 16),
    DataType.UINT32: ("uint", 32), DataType.UINT64: ("uint", 64), DataType.BOOL: ("bool", 8),
}  # fmt: skip

_KNOWN = {(_CODES[kind], bits): dtype for dtype, (kind, bits) in _TYPES.items()}
"""By code and bits."""


class _Device(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int32), ("ordinal", ctypes.c_int32)]


class _ElementType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("device", _Device), ("rank", ctypes.c_int32),
        ("dtype", _ElementType), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)), ("offset", ctypes.c_uint64),
    ]  # fmt: skip


class _ManagedTensor(ctypes.Structure):
    pass


_DELETER = ctypes.CFUNCTYPE(None, ctypes.POINTER(_ManagedTensor))
_ManagedTensor._fields_ = [
    ("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", _DELETER)
]  # fmt: skip

_DESTRUCTOR = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_new_capsule: Any = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _DESTRUCTOR]
_pointer_of: Any = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype = ctypes.c_void_p
_pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]
_pointer_at: Any = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_is_valid: Any = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi)
)
_rename: Any = ctypes.pythonapi.PyCapsule_SetName
_rename.argtypes = [ctypes.py_object, ctypes.c_char_p]

_NAME, _USED = b"dltensor", b"used_dltensor"

_exported: dict[int, tuple[Any, ...]] = {}
"""What consumers hold, by address of the structure."""


@_DELETER  # type: ignore[untyped-decorator]
def _delete(managed: Any) -> None:
    _exported.pop(ctypes.addressof(managed.contents), None)


@_DESTRUCTOR  # type: ignore[untyped-decorator]
def _destroy_capsule(capsule: int) -> None:
    if _is_valid(capsule, _NAME):  # nobody took it
        _exported.pop(_pointer_at(capsule, _NAME), None)


def exported(
    address: int, shape: Sequence[int], dtype: DataType, ordinal: int, owner: object
) -> Any:
    """A capsule of C-contiguous memory on a GPU; `owner` lives as long as its consumer.

    Raises ShapeError for a type that DLPack does not know.
    """
    if dtype not in _TYPES:
        raise ShapeError(f"{dtype.value} cannot be passed by DLPack; cast it")
    kind, bits = _TYPES[dtype]
    managed = _ManagedTensor()
    sizes = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    tensor = managed.tensor
    tensor.data, tensor.device = address, _Device(CUDA, ordinal)
    tensor.rank, tensor.dtype = len(shape), _ElementType(_CODES[kind], bits, 1)
    tensor.shape = ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64))
    managed.deleter = _delete
    place = ctypes.addressof(managed)
    _exported[place] = (managed, sizes, owner)
    return _new_capsule(place, _NAME, _destroy_capsule)


@dataclass(frozen=True)
class Imported:
    """Memory of another library; `release` once it is not used any more."""

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    """In elements; None for C-contiguous."""
    dtype: DataType
    device_kind: int
    ordinal: int
    release: Callable[[], None]


def imported(capsule: Any) -> Imported:
    """What a capsule holds, which then is ours. Raises ShapeError for an unknown type."""
    place = _pointer_of(capsule, _NAME)
    managed = _ManagedTensor.from_address(place)
    device = managed.tensor.device
    address, shape, strides, dtype = read(managed.tensor)
    _rename(capsule, _USED)

    def release() -> None:
        if managed.deleter:
            managed.deleter(ctypes.byref(managed))

    return Imported(address, shape, strides, dtype, device.kind, device.ordinal, release)


def read(tensor: Tensor) -> tuple[int, tuple[int, ...], tuple[int, ...] | None, DataType]:
    """Address, shape, strides in elements (None for C-contiguous) and type. Raises ShapeError for
    an unknown type."""
    element, rank = tensor.dtype, tensor.rank
    dtype = _KNOWN.get((element.code, element.bits))
    if dtype is None or element.lanes != 1:
        raise ShapeError(
            f"a DLPack tensor has element type code {element.code} of {element.bits} bits, which "
            "plugrt does not know; cast it"
        )
    strides = tuple(tensor.strides[:rank]) if tensor.strides else None
    return (tensor.data or 0) + tensor.offset, tuple(tensor.shape[:rank]), strides, dtype
