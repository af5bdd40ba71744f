"""The compiled extension, made by build_kernels.py. `lib` holds the functions of the
headers that are listed there."""

from typing import Any

from cffi import FFI

ffi: FFI
lib: Any
