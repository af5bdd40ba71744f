"""Element types of tensors: every numeric type of ONNX, 8-bit floats and 4-bit types included."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any

import numpy as np

from .errors import ShapeError


class DataType(Enum):
    """An element type. The value is its name in plans, schemas and messages."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT64 = "float64"
    FLOAT8_E4M3FN = "float8_e4m3fn"
    FLOAT8_E4M3FNUZ = "float8_e4m3fnuz"
    FLOAT8_E5M2 = "float8_e5m2"
    FLOAT8_E5M2FNUZ = "float8_e5m2fnuz"
    FLOAT4_E2M1FN = "float4_e2m1fn"
    INT4 = "int4"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT4 = "uint4"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    BOOL = "bool"
    COMPLEX64 = "complex64"
    COMPLEX128 = "complex128"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy type that holds one element (4-bit types take one byte each)."""
        return _numpy_type(self.value)

    @property
    def itemsize(self) -> int:
        """Bytes of one element in memory."""
        return int(self.numpy.itemsize)

    @property
    def is_float(self) -> bool:
        """True for binary floating point of any width."""
        return "float" in self.value

    @property
    def is_integer(self) -> bool:
        """True for signed and unsigned integers; False for bool."""
        return "int" in self.value

    @property
    def is_float8(self) -> bool:
        """True for binary floating point in 8 bits."""
        return self.value.startswith("float8")

    @property
    def largest(self) -> float:
        """The largest finite number of an 8-bit float type, 448 for float8_e4m3fn."""
        return _largest(self.value)

    @classmethod
    def of(cls, value: Any) -> DataType:
        """The type named by `value`: a DataType, its name, or a NumPy type.

        Raises ShapeError for a type that tensors cannot hold.
        """
        if isinstance(value, cls):
            return value
        try:
            name = value if isinstance(value, str) else np.dtype(value).name
            return cls(name)
        except (TypeError, ValueError):
            allowed = ", ".join(member.value for member in cls)
            raise ShapeError(
                f"element type {value!r} is not supported; use one of: {allowed}"
            ) from None


@cache
def _largest(name: str) -> float:
    every = np.arange(256, dtype=np.uint8).view(_numpy_type(name)).astype(np.float64)
    return float(every[np.isfinite(every)].max())


@cache
def _numpy_type(name: str) -> np.dtype[Any]:
    """NumPy's own type of this name, else that of ml_dtypes, which few programs need."""
    own: Any = getattr(np, "bool_" if name == "bool" else name, None)
    if own is None:
        import ml_dtypes

        own = getattr(ml_dtypes, name)
    found: np.dtype[Any] = np.dtype(own)
    return found
