"""The compiled extension, made by build_native.py. `lib` holds the functions of the headers."""

from typing import Any

from cffi import FFI

ffi: FFI
lib: Any
