"""NVIDIA GPUs as a device plug-in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ....plugins import DataType, DeviceError, DevicePlugin, Format
from ....plugins.native import cuda

if TYPE_CHECKING:
    from ...tuning.bench import TuningBench
    from .session import CudaSession


class CudaDevice(DevicePlugin):
    """cuDNN, cuBLASLt and own kernels on NVIDIA GPUs, captured into graphs."""

    name = "cuda"

    def __init__(self, ordinal: int = 0) -> None:
        self.ordinal = ordinal
        self._context: cuda.Context | None = None

    def fingerprint(self) -> Mapping[str, str]:
        properties = cuda.device_properties(self.ordinal)
        return {
            "device": "cuda",
            "name": properties.name,
            "architecture": properties.architecture,
            "multiprocessors": str(properties.multiprocessors),
            **cuda.library_versions(),
        }

    def formats(self) -> Sequence[Format]:
        return (Format.CHANNELS_LAST, Format.LINEAR)

    def narrow_floats(self) -> Sequence[DataType]:
        if not cuda.available():
            return ()
        if cuda.device_properties(self.ordinal).compute_capability < (8, 0):
            return (DataType.FLOAT16,)
        return (DataType.FLOAT16, DataType.BFLOAT16)

    def check(self) -> None:
        reason = cuda.unavailable_reason()
        if reason is not None:
            raise DeviceError(f"the device 'cuda' cannot be used: {reason}")
        self._context = cuda.Context.of(self.ordinal)  # made once, as that takes long

    def notes(self) -> Sequence[str]:
        from ....plugins.native.cuda import cublaslt, cudnn

        return [
            f"{name} is not used: {reason}. {instead} run by plugrt's own kernels, which are slower"
            for name, reason, instead in (
                ("cuDNN", cudnn.unavailable_reason(), "Convolutions"),
                ("cuBLASLt", cublaslt.unavailable_reason(), "Matrix products"),
            )
            if reason is not None
        ]

    def open(
        self, release: Callable[[], None] = lambda: None, cache: object = None
    ) -> CudaSession:
        self.check()
        from .session import CudaSession

        return CudaSession(self.ordinal)

    def tuning_bench(self, registry: Any, threads: int) -> TuningBench:
        from .bench import CudaBench

        return CudaBench(registry, self.ordinal, threads)
