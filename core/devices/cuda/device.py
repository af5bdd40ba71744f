"""NVIDIA GPUs as a device plug-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ....plugins import DataType, DevicePlugin, Format
from ....plugins.native import cuda


class CudaDevice(DevicePlugin):
    """cuDNN, cuBLASLt and own kernels on NVIDIA GPUs, captured into graphs."""

    name = "cuda"

    def __init__(self, ordinal: int = 0) -> None:
        self.ordinal = ordinal

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
