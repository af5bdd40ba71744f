"""What `plugrt doctor` says of CUDA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata

from ...errors import DeviceError
from . import kernel_cache
from .architectures import number_of
from .compiler import compiler_version, include_directories, supported_architectures
from .devices import (
    CONDITIONAL_NODES,
    device_count,
    device_properties,
    driver_version,
    unavailable_reason,
)
from .libraries import library_path
from .packages import EXTRA

DISTRIBUTIONS = (
    "cuda-bindings", "cuda-core", "cuda-pathfinder", "nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12",
    "nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12", "nvidia-cudnn-cu13", "nvidia-cudnn-cu12",
    "nvidia-cublas", "nvidia-cublas-cu12",
)  # fmt: skip


@dataclass
class Diagnosis:
    """Facts as (part, state), and what does not fit together, each with what to do."""

    facts: list[tuple[str, str]] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def doctor() -> Diagnosis:
    """Look at packages, driver, libraries and GPUs; nothing is an error that CUDA's absence
    explains."""
    from .cublaslt import version as cublaslt_version
    from .cudnn import version as cudnn_version

    found = Diagnosis()
    installed = _installed()
    packages = ", ".join(f"{name} {version}" for name, version in installed.items())
    found.facts.append(("CUDA packages", packages or f"none: {EXTRA}"))
    reason = unavailable_reason()
    found.facts.append(("CUDA device", "usable" if reason is None else f"absent: {reason}"))
    driver = _version(driver_version)
    found.facts.append(("driver", _text(driver, "supports CUDA ")))
    compiler = _version(compiler_version)
    found.facts.append(("NVRTC", _text(compiler, place="nvrtc")))
    headers = ", ".join(map(str, include_directories())) or (
        f"absent: sources that include cuda_fp16.h and the like do not compile; {EXTRA}"
    )
    found.facts.append(("CUDA headers", headers))
    found.facts.append(("cuDNN", _text(_version(cudnn_version), place="cudnn")))
    cublaslt = _version(cublaslt_version)
    found.facts.append(("cuBLASLt", _text(cublaslt, place="cublasLt")))
    cache = kernel_cache.folder()
    found.facts.append((kernel_cache.VARIABLE, "off" if cache is None else str(cache)))
    for ordinal in range(device_count()):
        gpu = device_properties(ordinal)
        found.facts.append(
            (f"GPU {ordinal}", f"{gpu.name}, {gpu.architecture}, {gpu.multiprocessors} "
             f"multiprocessors, {gpu.memory_bytes >> 20:,} MiB")
        )  # fmt: skip
        found.conflicts += _of_gpu(ordinal)
    found.conflicts += _of_versions(installed, driver, compiler, cublaslt)
    return found


Version = tuple[int, ...] | str


def _version(ask: Callable[[], tuple[int, ...]]) -> Version:
    """A version, or why there is none."""
    try:
        return ask()
    except DeviceError as error:
        return str(error)


def _text(version: Version, before: str = "", place: str | None = None) -> str:
    if isinstance(version, str):
        return f"absent: {version}"
    where = f" ({library_path(place)})" if place else ""
    return f"{before}{'.'.join(map(str, version))}{where}"


def _installed() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _of_gpu(ordinal: int) -> list[str]:
    gpu = device_properties(ordinal)
    if gpu.compute_capability < (7, 5):
        return [f"GPU {ordinal} ({gpu.name}) is older than sm_75; plugrt cannot use it"]
    try:
        known = [number_of(name) for name in supported_architectures()]
    except DeviceError:
        return []
    if number_of(gpu.architecture) not in known:
        return [f"NVRTC does not know GPU {ordinal} ({gpu.architecture}); kernels start slowly "
                "and lack its features: install a newer nvidia-cuda-nvrtc"]  # fmt: skip
    return []


def _of_versions(
    installed: dict[str, str], driver: Version, compiler: Version, cublaslt: Version
) -> list[str]:
    found = []
    names = [name.removesuffix("-cu12").removesuffix("-cu13") for name in installed]
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.append(f"{name} is installed for CUDA 12 and for CUDA 13; uninstall one of them")
    if isinstance(driver, str):
        return found
    if driver < CONDITIONAL_NODES:
        found.append(
            f"the driver supports CUDA {driver[0]}.{driver[1]}; layers with control flow need "
            f"{'.'.join(map(str, CONDITIONAL_NODES))} or newer on a GPU: install a newer driver"
        )
    wanted = {"NVRTC": compiler, "cuBLASLt": cublaslt}
    bindings = installed.get("cuda-bindings")
    if bindings:
        wanted["cuda-bindings"] = (int(bindings.partition(".")[0]),)
    for name, version in wanted.items():
        if not isinstance(version, str) and version[0] > driver[0]:
            found.append(
                f"{name} is of CUDA {version[0]}, the driver supports CUDA {driver[0]}.{driver[1]}:"
                f" install a newer driver, or plugrt[cuda{driver[0]}]"
            )
    return found
