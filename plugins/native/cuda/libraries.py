"""NVIDIA's libraries: found by cuda.pathfinder, in packages or on the system."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from cffi import FFI

from ...errors import DeviceError
from .compiler import compiler_version
from .packages import EXTRA, pathfinder

_ffi: Any = FFI()

PACKAGES = {
    "cudnn": "nvidia-cudnn-cu13 (nvidia-cudnn-cu12)",
    "cublasLt": "nvidia-cublas (nvidia-cublas-cu12)",
    "nvrtc": "nvidia-cuda-nvrtc (nvidia-cuda-nvrtc-cu12)",
}


@cache
def library_path(name: str) -> str:
    """The file of "cudnn", "cublasLt" or "nvrtc", loaded into the process.

    Raises DeviceError naming the package to install.
    """
    try:
        return str(pathfinder().load_nvidia_dynamic_lib(name).abs_path)
    except DeviceError:
        raise
    except Exception as error:  # pathfinder's own kinds, which differ between its versions
        reason = str(error).partition("\n")[0].partition(": No such file")[0]
        raise DeviceError(
            f"{name} cannot be loaded ({reason}); install {PACKAGES[name]}, or {EXTRA}"
        ) from None


def text_of(message: Any) -> str:
    """The text at a `char *` of cffi."""
    return bytes(_ffi.string(message)).decode(errors="replace")


def library_versions() -> Mapping[str, str]:
    """The versions that tuning results depend on; "absent" for a library that is not there."""
    from .cublaslt import library as cublaslt
    from .cudnn import library as cudnn

    found = {}
    for name, version in (
        ("cudnn", cudnn.version), ("cublaslt", cublaslt.version), ("nvrtc", compiler_version)
    ):  # fmt: skip
        try:
            found[name] = ".".join(map(str, version()))
        except DeviceError:
            found[name] = "absent"
    return found
