"""What a result was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")


def describe(*distributions: str) -> dict[str, object]:
    """Processor, cores, memory, instruction sets and versions of the peers involved."""
    information = _cpu_information()
    flags = information.get("flags", "").split()
    return {
        "processor": information.get("model name", platform.processor()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "features": [name for name in FEATURES if name in flags],
        "system": f"{platform.system()} {platform.release()}",
        "scheduling": _scheduling(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("plugrt", *distributions)},
    }


def describe_gpu(*distributions: str) -> dict[str, object]:
    """The same with the first GPU, its driver and the libraries that run there."""
    from plugrt.plugins.native.cuda.devices import device_properties, driver_version
    from plugrt.plugins.native.cuda.diagnosis import doctor

    gpu = device_properties(0)
    facts = dict(doctor().facts)
    return {
        **describe(*distributions),
        "gpu": {
            "name": gpu.name, "architecture": gpu.architecture,
            "multiprocessors": gpu.multiprocessors,
            "memory_gib": round(gpu.memory_bytes / 2**30, 1), "l2_mib": gpu.l2_bytes >> 20,
            "driver_cuda": ".".join(map(str, driver_version())),
            **{name: facts[name].partition(" (")[0] for name in ("NVRTC", "cuDNN", "cuBLASLt")},
        },
    }  # fmt: skip


def _scheduling() -> str:
    """Whether this process was put before all others: on a busy machine that quietens it."""
    policy = os.sched_getscheduler(0)
    return "real-time" if policy in (os.SCHED_FIFO, os.SCHED_RR) else "normal"


def _cpu_information() -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return found
    for line in lines:
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
