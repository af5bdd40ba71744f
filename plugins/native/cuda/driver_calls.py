"""Calls of the CUDA driver, with errors that say what failed and what to do."""

from __future__ import annotations

from functools import cache
from typing import Any

from ...errors import DeviceError
from .packages import driver

FATAL = (
    "run compute-sanitizer to see which one, as the driver tells whoever waits next, and the "
    "kernel may be of another call or engine; this process cannot use the GPU any more"
)
"""What is known when a kernel has failed for good: not whose it was."""

FIXES = {
    "CUDA_ERROR_OUT_OF_MEMORY": "use a smaller batch or close other programs on this GPU",
    "CUDA_ERROR_NO_DEVICE": "no GPU is visible: look at nvidia-smi and CUDA_VISIBLE_DEVICES",
    "CUDA_ERROR_INVALID_DEVICE": "use an ordinal below plugrt.plugins.native.cuda.device_count()",
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH": "install one version of the driver, and reboot",
    "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE": "install a newer driver",
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION": "install a driver as new as the compiler (nvrtc)",
    "CUDA_ERROR_NO_BINARY_FOR_GPU": "compile the kernel for this GPU's architecture",
    "CUDA_ERROR_INVALID_IMAGE": "compile the kernel again; its image is damaged",
    "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES": "use smaller blocks, fewer registers or less shared "
    "memory",
    "CUDA_ERROR_ILLEGAL_ADDRESS": f"a kernel left its tensors: {FATAL}",
    "CUDA_ERROR_MISALIGNED_ADDRESS": "a kernel read at an address that its access width forbids: "
    f"{FATAL}",
    "CUDA_ERROR_LAUNCH_FAILED": f"a kernel failed while it ran: {FATAL}",
    "CUDA_ERROR_ILLEGAL_INSTRUCTION": f"a kernel's code is damaged or of another GPU: {FATAL}",
    "CUDA_ERROR_INVALID_PC": f"a kernel jumped out of its code: {FATAL}",
    "CUDA_ERROR_INVALID_ADDRESS_SPACE": f"a kernel used an address of another kind: {FATAL}",
    "CUDA_ERROR_HARDWARE_STACK_ERROR": f"a kernel's stack is too small or damaged: {FATAL}",
    "CUDA_ERROR_ASSERT": f"a kernel found its own assertion to be wrong: {FATAL}",
    "CUDA_ERROR_LAUNCH_TIMEOUT": "a kernel, of this call or one before it, ran too long for a GPU "
    "that drives a display: use a smaller batch, or another GPU",
    "CUDA_ERROR_ECC_UNCORRECTABLE": "the GPU's memory is faulty; look at nvidia-smi -q",
    "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED": "while a layer is recorded it may only put work on "
    "stream.handle",
    "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED": "a layer did something that cannot be recorded, such "
    "as waiting or allocating; do it in initialize()",
    "CUDA_ERROR_STREAM_CAPTURE_UNJOINED": "a layer forked a second stream and did not join it",
    "CUDA_ERROR_STREAM_CAPTURE_ISOLATION": "a layer waited for an event from outside the recording",
    "CUDA_ERROR_NOT_SUPPORTED": "this GPU or driver lacks the feature; install a newer driver",
    "CUDA_ERROR_MPS_CONNECTION_FAILED": "the MPS server is not running; start it, or unset "
    "CUDA_MPS_PIPE_DIRECTORY",
}


class CudaError(DeviceError):
    """The driver refused a call; `code` is the error's name, such as CUDA_ERROR_NO_DEVICE."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def call(name: str, *arguments: Any, what: str = "") -> Any:
    """The result of the driver's function `name`; several as a tuple, none as None.

    `what` says in a message what was being done. Raises CudaError, and DeviceError where the
    driver lacks the function.
    """
    function = getattr(driver(), name, None)
    if function is None:
        raise DeviceError(f"cuda-bindings has no {name}; install a newer version of it")
    try:
        error, *results = function(*arguments)
    except (RuntimeError, NotImplementedError) as missing:
        raise _impossible(name, str(missing)) from None
    if int(error):
        raise explained(error, name, what)
    if not results:
        return None
    return results[0] if len(results) == 1 else tuple(results)


def _impossible(name: str, reason: str) -> DeviceError:
    """The exception for a function that cannot be reached."""
    if "driver library" in reason or "libcuda" in reason:
        return DeviceError(
            "NVIDIA's driver is not on this machine (no libcuda.so.1 is found); install it, or "
            "use the device 'cpu'"
        )
    return DeviceError(
        f"NVIDIA's driver has no {name} ({reason.partition('.')[0]}); install a newer driver, or "
        "use the device 'cpu'"
    )


def explained(error: Any, name: str, what: str = "", fix: str | None = None) -> CudaError:
    """The exception for an error that the driver's function `name` returned."""
    code, text = _described(int(error))
    advice = fix or FIXES.get(code, "")
    doing = f"{what}: " if what else ""
    message = f"{doing}{name} failed with {code} ({text})"
    return CudaError(f"{message}; {advice}" if advice else message, code)


@cache
def _described(number: int) -> tuple[str, str]:
    module = driver()
    try:
        error = module.CUresult(number)
    except ValueError:
        return f"error {number}", "unknown to cuda-bindings"
    name, text = (
        function(error)[1] for function in (module.cuGetErrorName, module.cuGetErrorString)
    )
    return (name or b"?").decode(), (text or b"?").decode()
