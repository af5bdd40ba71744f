"""The compiled extension, made by build_kernels.py. `lib` holds the functions of the headers
kernels.h, boxes.h, arrow.h and resizing.h."""

from typing import Any

from cffi import FFI

ffi: FFI
lib: Any
