"""The Python packages of CUDA, imported when first needed."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib import import_module
from typing import Any, cast

from ...errors import DeviceError

EXTRA = "pip install 'plugrt[cuda]' (or 'plugrt[cuda12]' for a driver of CUDA 12)"


@cache
def _module(name: str, distribution: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise DeviceError(
            f"CUDA needs the package {distribution}, which cannot be imported ({error}); {EXTRA}"
        ) from None


def driver() -> Any:
    """`cuda.bindings.driver`. Raises DeviceError when it is not installed."""
    return _module("cuda.bindings.driver", "cuda-bindings")


def function_address(name: str) -> int:
    """Where the driver's C function `name` is, for C code of ours that calls it.

    Raises DeviceError without a driver, or where it lacks the function.
    """
    try:
        function = getattr(ctypes.CDLL("libcuda.so.1"), name)
    except (OSError, AttributeError) as error:
        raise DeviceError(
            f"the driver's function {name} cannot be found ({error}); install NVIDIA's driver, or "
            "a newer one"
        ) from None
    return cast(int, ctypes.cast(function, ctypes.c_void_p).value)


def nvrtc() -> Any:
    """`cuda.bindings.nvrtc`. Raises DeviceError when it is not installed."""
    return _module("cuda.bindings.nvrtc", "cuda-bindings")


def pathfinder() -> Any:
    """`cuda.pathfinder`. Raises DeviceError when it is not installed."""
    return _module("cuda.pathfinder", "cuda-pathfinder")
