"""Native services, public to every plug-in author.

The C header `plugrt_kernel.h` (in `include_dir()`) is all that a kernel of one's own needs.
The services behind the built-in layers are here too, so that no built-in has a private way
to them; each is imported when first used:

- `onednn`: primitives of oneDNN as commands of a recording;
- `pointwise`: scalar expressions, run as one vectorised pass;
- `copying`: strided copies, transposes and reformats;
- `cuda`: CUDA kernels of one's own, cuDNN, cuBLASLt, what GPUs are there;
- `cpu`: processor features and the OpenMP threads that all kernels share.

Importing this package always works. Where the compiled extension or oneDNN is missing, using
a service raises DeviceError with what to do; `extension_available()` and
`onednn.available()` tell beforehand.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ._extension import extension_available, kernel_address

if TYPE_CHECKING:
    from . import copying, cpu, cuda, onednn, pointwise

__all__ = [
    "copying",
    "cpu",
    "cuda",
    "extension_available",
    "include_dir",
    "kernel_address",
    "onednn",
    "pointwise",
]


def include_dir() -> Path:
    """The folder of plugrt_kernel.h, for a compiler's include path."""
    return Path(__file__).resolve().parent


def __getattr__(name: str) -> ModuleType:
    if name in ("copying", "cpu", "cuda", "onednn", "pointwise"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
