"""The compiled extension, made by build_kernels.py. `lib` holds every LAYER_KERNEL."""

from typing import Any

from cffi import FFI

ffi: FFI
lib: Any
