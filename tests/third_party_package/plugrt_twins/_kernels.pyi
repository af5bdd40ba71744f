"""The compiled extension, made by build_kernels.py."""

from typing import Any

from cffi import FFI

ffi: FFI
lib: Any
