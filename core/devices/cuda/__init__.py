"""The CUDA device: layers put kernels on a stream, which is captured into graphs."""

from .device import CudaDevice
from .recording import CudaRecording
from .slots import CudaSlots
from .stream import CudaStream
from .weights import DeviceWeights

__all__ = ["CudaDevice", "CudaRecording", "CudaSlots", "CudaStream", "DeviceWeights"]
