"""Services for NVIDIA GPUs, public to every plug-in author.

- `CudaSource`, `CudaKernel`: CUDA C++ of one's own, compiled by NVRTC when first launched by
  `stream.launch_grid`, kept on disk (`kernel_cache`);
- `available()`, `device_count()`, `device_properties()`: what is there;
- `cudnn`, `cublaslt`: convolutions with fused expressions and matrix products, plan by plan;
- `stream.handle` on a recording's stream, for libraries, CuPy, Triton and cuda.core;
  `guest_array`: a tensor as CuPy and PyTorch take it.

Importing this package always works. Without the packages of `plugrt[cuda]`, a driver or a
GPU, using a service raises DeviceError with what to do; compiling needs no GPU.
"""

from .architectures import ARCHITECTURES, architecture_name
from .compiler import compiler_version, include_directories, supported_architectures
from .devices import (
    Context,
    DeviceProperties,
    available,
    device_count,
    device_properties,
    driver_version,
    unavailable_reason,
)
from .diagnosis import Diagnosis, doctor
from .driver_calls import CudaError
from .guest_arrays import GuestArray, guest_array
from .kernel import CudaKernel, CudaSource, KernelResources
from .libraries import library_path, library_versions

__all__ = [
    "ARCHITECTURES", "Context", "CudaError", "CudaKernel", "CudaSource", "DeviceProperties",
    "Diagnosis", "GuestArray", "KernelResources", "architecture_name", "available",
    "compiler_version", "device_count", "device_properties", "doctor", "driver_version",
    "guest_array", "include_directories", "library_path", "library_versions",
    "supported_architectures", "unavailable_reason",
]  # fmt: skip
