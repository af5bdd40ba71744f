"""Pillow's own memory, without the copy that `numpy.asarray` makes.

Pillow (11.2 and later) shows it by the Arrow C data interface: an RGB picture is a list of four
bytes per pixel, of which the last means nothing.
"""

from __future__ import annotations

import ctypes
from typing import Any

from PIL import Image

from .._kernels import ffi

BYTES_PER_PIXEL = 4
CAPSULE_NAME = b"arrow_array"

_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype = ctypes.c_void_p
_get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


def address_of_pixels(picture: Image.Image) -> tuple[int, object] | None:
    """Where the pixels of an RGB picture lie, row upon row, and what keeps them there; None
    where Pillow cannot tell: it is too old, or the picture is in several pieces."""
    export = getattr(picture, "__arrow_c_array__", None)
    if export is None:
        return None
    try:
        capsules = export()
    except ValueError:  # in several pieces
        return None
    array: Any = ffi.cast("ArrowArray *", _get_pointer(capsules[1], CAPSULE_NAME))
    if array.n_children != 1 or array.offset:
        return None
    pixels = array.children[0]
    count = picture.width * picture.height * BYTES_PER_PIXEL
    if pixels.length != count or pixels.n_buffers != 2 or pixels.offset:
        return None
    address = int(ffi.cast("uintptr_t", pixels.buffers[1]))
    return (address, capsules) if address else None
