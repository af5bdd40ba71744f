"""The C kernels of this package, as recordings take them."""

from __future__ import annotations

from functools import cache

from plugrt.plugins import Kernel

from .._kernels import ffi, lib

LAYOUTS = {
    "yolo_activate_planes": "TTqqq8q8iiff",
    "yolo_softmax_planes": "TTTqqqqqf",
    "yolo_reorg": "TTqqqqqii",
    "yolo_normalize_channels": "TTqqqi",
    "yolo_repeat": "TTqq",
    "yolo_decode_head": "TTTTqqqqqqqqqqif",
    "yolo_keep_boxes": "TTTTTqqqqff",
    "yolo_prepare_pictures": "TTqqqqqqq4qii",
}
"""The argument structs of the headers, field by field."""


@cache
def kernel(name: str) -> Kernel:
    """The kernel called `name`."""
    address = int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))
    return Kernel(address, LAYOUTS[name], name, keep=lib)
