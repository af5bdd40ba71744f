"""What a machine without a GPU, a driver or the packages gets."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from plugrt import Registry
from plugrt.plugins import (
    CommandList,
    DataType,
    DeviceError,
    PluginError,
    Stream,
    TensorDesc,
    TensorView,
)
from plugrt.plugins.native import cuda
from plugrt.plugins.native.cuda import diagnosis
from plugrt.plugins.native.cuda.diagnosis import Diagnosis, _of_versions

WITHOUT_PACKAGES = """
import sys
for name in ("cuda", "cuda.bindings", "cuda.pathfinder", "nvidia"):
    sys.modules[name] = None
import plugrt
import plugrt.core.devices.cuda.standalone, plugrt.core.devices.cuda.timing
from plugrt.plugins import DeviceError
from plugrt.plugins.native import cuda
from plugrt.plugins.native.cuda import cudnn, cublaslt

assert not cuda.available() and cuda.device_count() == 0
assert "cuda-bindings" in cuda.unavailable_reason() and "plugrt[cuda]" in cuda.unavailable_reason()
assert not cudnn.available() and not cublaslt.available()
for use in (
    cuda.device_properties, cuda.compiler_version, cudnn.version, cublaslt.version,
    lambda: cuda.Context.of(0), lambda: cuda.library_path("cudnn"),
    lambda: cuda.CudaKernel(cuda.CudaSource("", "a.cu"), "f", "").compile(90),
    lambda: plugrt.core.devices.cuda.CudaDevice().fingerprint(),
):
    try:
        use()
    except DeviceError as error:
        assert "plugrt[cuda]" in str(error), error
    else:
        raise SystemExit(f"{use} did not fail")
assert plugrt.core.devices.cuda.CudaDevice().narrow_floats() == ()
facts = dict(cuda.doctor().facts)
assert facts["CUDA packages"].startswith("none: pip install") or "nvidia" in facts["CUDA packages"]
assert facts["CUDA device"].startswith("absent")
print("fine")
"""


def test_without_packages_everything_imports_and_says_what_to_install() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_PACKAGES], capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "fine", result.stderr


def test_the_device_is_registered() -> None:
    found = Registry.default().get("devices", "cuda")
    assert found.name == "cuda"
    assert [layout.value for layout in found().formats()] == ["channels_last", "linear"]


@pytest.mark.skipif(cuda.available(), reason="a GPU is present")
def test_without_a_gpu_the_reason_is_told() -> None:
    reason = cuda.unavailable_reason()
    assert reason
    assert "install" in reason or "nvidia-smi" in reason
    with pytest.raises(DeviceError):
        cuda.Context.of(0)
    assert cuda.device_count() == 0
    assert dict(cuda.doctor().facts)["CUDA device"] == f"absent: {reason}"


class Elsewhere(Stream):
    """A stream of another device."""

    device = "toaster"
    thread_count = 1

    def launch_raw(self, address: int, arguments: bytes, keep: object = None) -> None: ...
    def keep(self, resource: object) -> None: ...
    def host_callback(self, function: Any, inputs: Any, outputs: Any) -> None: ...
    def record(self, body: Any, inputs: Any, outputs: Any, workspace: Any) -> CommandList:
        return CommandList()

    def branch(self, condition: Any, lists: Any) -> None: ...
    def repeat(self, body: Any, **options: Any) -> None: ...


def test_streams_of_other_devices_refuse() -> None:
    stream = Elsewhere()
    view = TensorView(TensorDesc(DataType.FLOAT32, (1,)), 0)
    kernel = cuda.CudaKernel(cuda.CudaSource("", "a.cu"), "f", "")
    for use in (
        lambda: stream.handle,
        lambda: stream.__cuda_stream__(),
        lambda: stream.address(view),
        lambda: stream.launch_grid(kernel, [1], [1]),
    ):
        with pytest.raises(PluginError, match="a stream of device 'toaster' has no"):
            use()


def test_conflicts_name_both_sides_and_the_fix() -> None:
    installed = {"cuda-bindings": "13.1", "nvidia-cublas": "13", "nvidia-cublas-cu12": "12"}
    found = _of_versions(installed, (12, 4), (13, 0), "absent")
    assert found == [
        "nvidia-cublas is installed for CUDA 12 and for CUDA 13; uninstall one of them",
        "NVRTC is of CUDA 13, the driver supports CUDA 12.4: install a newer driver, or "
        "plugrt[cuda12]",
        "cuda-bindings is of CUDA 13, the driver supports CUDA 12.4: install a newer driver, or "
        "plugrt[cuda12]",
    ]
    assert _of_versions({"cuda-bindings": "13.1"}, (13, 0), (13, 0), (13, 1, 0)) == []
    (line,) = _of_versions({}, (12, 2), "absent", "absent")
    assert line.startswith("the driver supports CUDA 12.2; layers with control flow need 12.4")


def test_an_old_driver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from plugrt.plugins.native.cuda import devices

    monkeypatch.setattr(devices, "call", lambda name, *rest, **more: 11080)
    with pytest.raises(DeviceError, match=r"supports CUDA 11.8; plugrt needs 12.2 or newer"):
        devices.initialize.__wrapped__()


def test_no_gpu_is_told_apart_from_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    from plugrt.plugins.native.cuda import devices

    answers = {"cuInit": None, "cuDriverGetVersion": 13000, "cuDeviceGetCount": 0}
    monkeypatch.setattr(devices, "call", lambda name, *rest, **more: answers[name])
    with pytest.raises(DeviceError, match="sees no GPU: look at nvidia-smi and at CUDA_VISIBLE"):
        devices.initialize.__wrapped__()


def test_the_diagnosis_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = cuda.DeviceProperties(0, "Tesla P4", (6, 1), 20, 2048, 1, 1 << 33, 1, 1, 1, True, "")
    monkeypatch.setattr(diagnosis, "device_count", lambda: 1)
    monkeypatch.setattr(diagnosis, "device_properties", lambda ordinal: gpu)
    found: Diagnosis = cuda.doctor()
    assert ("GPU 0", "Tesla P4, sm_61, 20 multiprocessors, 8,192 MiB") in found.facts
    assert found.conflicts[0] == "GPU 0 (Tesla P4) is older than sm_75; plugrt cannot use it"
