"""The CPU as a device plug-in."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....plugins import DataType, DevicePlugin, Format, PlugrtError
from .extension import require_runtime

if TYPE_CHECKING:
    from ...runtime.cpu_session import CpuSession
    from ...runtime.packed_cache import PackedCache
    from ...tuning.bench import TuningBench

NATIVE_FLOATS = {
    DataType.BFLOAT16: ("avx512bf16", "amx_bf16"),
    DataType.FLOAT16: ("avx512fp16",),
}
"""Narrow types with the processor features that compute with them."""


class CpuDevice(DevicePlugin):
    """oneDNN and own kernels on the host's processors."""

    name = "cpu"

    def __init__(self, ordinal: int = 0) -> None:
        if ordinal:
            raise PlugrtError(
                f"device 'cpu:{ordinal}' does not exist; all processors are 'cpu', and "
                "create_context(processors=...) chooses among them"
            )

    def fingerprint(self) -> Mapping[str, str]:
        return _fingerprint()

    def formats(self) -> Sequence[Format]:
        return (Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16, Format.LINEAR)

    def narrow_floats(self) -> Sequence[DataType]:
        from ....plugins.native import cpu, onednn

        if not onednn.available():
            return ()
        found = cpu.features()
        return tuple(
            dtype for dtype, features in NATIVE_FLOATS.items() if not found.isdisjoint(features)
        )

    def check(self) -> None:
        require_runtime()

    def open(
        self, release: Callable[[], None] = lambda: None, cache: PackedCache | None = None
    ) -> CpuSession:
        from ...runtime.cpu_session import CpuSession

        return CpuSession(release, cache)

    def tuning_bench(self, registry: Any, threads: int) -> TuningBench:
        from ...tuning.cpu_bench import CpuBench

        return CpuBench(registry, threads)


@cache
def warn_without_onednn() -> None:
    """Say once per process that the fast kernels are missing, and what to do."""
    from ....plugins.native import onednn

    reason = onednn.unavailable_reason()
    if reason is not None:
        warnings.warn(
            f"{reason}; until then layers run on plugrt's own kernels, many times slower",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip


@cache
def _fingerprint() -> Mapping[str, str]:
    from ....plugins.native import cpu, onednn

    return {
        "device": "cpu",
        "machine": platform.machine(),
        "processor": _processor_name(),
        "features": ",".join(sorted(cpu.features())),
        "onednn": ".".join(map(str, onednn.library().version)) if onednn.available() else "absent",
    }


def _processor_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
