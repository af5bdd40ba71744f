"""NVRTC: from CUDA C++ to the code of one architecture, without a GPU or a toolkit."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import DeviceError
from . import kernel_cache
from .architectures import ARCHITECTURES, architecture_name, number_of
from .packages import EXTRA, nvrtc, pathfinder

DEFAULT_OPTIONS = ("--std=c++17", "--device-as-default-execution-space")


@dataclass(frozen=True)
class Compiled:
    """The code of one kernel: a cubin, or PTX for GPUs that the compiler does not know."""

    image: bytes
    symbol: str
    """The kernel's name in the image."""

    key: str = ""
    """What the cache of kernels knows it by."""

    @property
    def stored(self) -> bytes:
        """What the cache of kernels keeps."""
        return self.symbol.encode() + b"\0" + self.image

    @classmethod
    def from_stored(cls, stored: bytes, key: str) -> Compiled:
        """What that was made of."""
        symbol, _, image = stored.partition(b"\0")
        return cls(image, symbol.decode(), key)


@cache
def compiler_version() -> tuple[int, int]:
    """NVRTC's version. Raises DeviceError when it is missing."""
    major, minor = _checked("nvrtcVersion")
    return int(major), int(minor)


@cache
def supported_architectures() -> tuple[str, ...]:
    """What this NVRTC compiles for, oldest first. Raises DeviceError when it is missing."""
    return tuple(f"sm_{number}" for number in sorted(map(int, _checked("nvrtcGetSupportedArchs"))))


@cache
def include_directories() -> tuple[Path, ...]:
    """Folders with cuda_fp16.h and the like; empty when no installed package has them."""
    try:
        found = pathfinder().locate_nvidia_header_directory("cudart")
    except (DeviceError, AttributeError, RuntimeError):
        return ()
    return () if found is None else (Path(found.abs_path),)


@cache
def toolchain() -> str:
    """What the bytes of a compiled kernel depend on besides its source and options."""
    headers = "none"
    for directory in include_directories():
        text = (directory / "cuda.h").read_text(errors="replace") if (
            directory / "cuda.h").exists() else ""  # fmt: skip
        match = re.search(r"#define\s+CUDA_VERSION\s+(\d+)", text)
        headers = match[1] if match else str(directory)
    major, minor = compiler_version()
    return f"nvrtc {major}.{minor} headers {headers}"


def kernel_key(
    text: str, file_name: str, headers: Mapping[str, str], function: str, options: Sequence[str],
    architecture: str,
) -> str:  # fmt: skip
    """What the cache of kernels knows the code of these arguments of `compile_kernel` by."""
    described = [toolchain(), text, file_name, sorted(headers.items()), function, list(options),
                 _target(architecture_name(architecture))]  # fmt: skip
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def compile_kernel(
    text: str,
    file_name: str,
    headers: Mapping[str, str],
    function: str,
    options: Sequence[str],
    architecture: str,
) -> Compiled:
    """Compile one kernel, or take it from the disk cache.

    `function` is an `extern "C"` name or a name expression such as "scale<float, 4>".
    An architecture that this NVRTC does not know gives PTX of the newest earlier one.
    Raises DeviceError with the compiler's log.
    """
    target = _target(architecture_name(architecture))
    key = kernel_key(text, file_name, headers, function, options, architecture)
    stored = kernel_cache.read(key)
    if stored is not None:
        return Compiled.from_stored(stored, key)
    made = replace(_compile(text, file_name, headers, function, options, target), key=key)
    kernel_cache.write(key, made.stored)
    return made


def _target(architecture: str) -> str:
    known = supported_architectures()
    if f"sm_{number_of(architecture)}" in known:
        return architecture
    earlier = [name for name in known if number_of(name) < number_of(architecture)]
    if architecture[-1] in "af" or not earlier:
        major, minor = compiler_version()
        raise DeviceError(
            f"nvrtc {major}.{minor} does not compile for {architecture}, only for: "
            f"{', '.join(known)}; install a newer nvidia-cuda-nvrtc"
        )
    return earlier[-1].replace("sm_", "compute_")


def _compile(
    text: str, file_name: str, headers: Mapping[str, str], function: str,
    options: Sequence[str], target: str,
) -> Compiled:
    program = _checked(
        "nvrtcCreateProgram", text.encode(), file_name.encode(), len(headers),
        [body.encode() for body in headers.values()], [name.encode() for name in headers],
    )  # fmt: skip
    try:
        _checked("nvrtcAddNameExpression", program, function.encode())
        flags = [
            f"--gpu-architecture={target}",
            *DEFAULT_OPTIONS,
            *(f"--include-path={directory}" for directory in include_directories()),
            *options,
        ]
        (error,) = nvrtc().nvrtcCompileProgram(
            program, len(flags), [flag.encode() for flag in flags]
        )
        if int(error):
            raise _refused(program, file_name, function, target)
        symbol = _checked("nvrtcGetLoweredName", program, function.encode())
        kind = "PTX" if target.startswith("compute_") else "CUBIN"
        image = bytearray(int(_checked(f"nvrtcGet{kind}Size", program)))
        _checked(f"nvrtcGet{kind}", program, image)
        return Compiled(bytes(image), bytes(symbol).decode())
    finally:
        nvrtc().nvrtcDestroyProgram(program)


def _refused(program: Any, file_name: str, function: str, target: str) -> DeviceError:
    log = bytearray(int(_checked("nvrtcGetProgramLogSize", program)))
    _checked("nvrtcGetProgramLog", program, log)
    said = bytes(log).rstrip(b"\0").decode(errors="replace").strip()
    advice = ""
    if "could not open source file" in said and not include_directories():
        advice = f"\nCUDA's headers are not installed: {EXTRA}"
    return DeviceError(f"{file_name}: kernel {function} does not compile for {target}:\n"
                       f"{said}{advice}")  # fmt: skip


def _checked(name: str, *arguments: Any) -> Any:
    function = getattr(nvrtc(), name)
    try:
        error, *results = function(*arguments)
    except RuntimeError as missing:  # the library, found by name when first called
        raise DeviceError(f"NVRTC cannot be loaded ({missing}); {EXTRA}") from None
    if int(error):
        text = nvrtc().nvrtcGetErrorString(error)[1]
        raise DeviceError(f"{name} failed: {bytes(text).decode()}")
    if not results:
        return None
    return results[0] if len(results) == 1 else tuple(results)


__all__ = [
    "ARCHITECTURES", "Compiled", "compile_kernel", "compiler_version", "include_directories",
    "supported_architectures", "toolchain",
]  # fmt: skip
