"""Compiling kernels without a GPU: architectures, errors, the cache on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugrt.core.devices.cuda import control_flow
from plugrt.plugins import DataType, DeviceError, PluginError, TensorDesc, TensorView
from plugrt.plugins.native.cuda import (
    ARCHITECTURES,
    CudaKernel,
    CudaSource,
    compiler,
    compiler_version,
    kernel_cache,
)

from . import sample_layers

try:
    compiler_version()
except DeviceError as error:
    pytest.skip(f"needs NVRTC: {error}", allow_module_level=True)

TEXT = """
#include "factor.h"
template <typename T, int N> __global__ void scale(T *x) { x[threadIdx.x] *= N * FACTOR; }
"""


def source(factor: int = 2) -> CudaSource:
    return CudaSource(TEXT, "scale.cu", {"factor.h": f"#define FACTOR {factor}"})


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The targets that NVRTC really compiled for."""
    seen: list[str] = []
    real = compiler._compile

    def spy(*arguments: Any) -> Any:
        seen.append(arguments[-1])
        return real(*arguments)

    monkeypatch.setattr(compiler, "_compile", spy)
    return seen


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLUGRT_KERNEL_CACHE", str(tmp_path))
    return tmp_path


OWN_KERNELS = [
    value
    for module in (control_flow, sample_layers)
    for value in vars(module).values()
    if isinstance(value, CudaKernel)
]


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "sm_90a"])
@pytest.mark.parametrize("kernel", OWN_KERNELS, ids=str)
def test_the_devices_kernels_compile(kernel: CudaKernel, architecture: str) -> None:
    assert kernel.compile(architecture).startswith(b"\x7fELF")


@pytest.mark.parametrize("name", ["sm_90a", "90a", "compute_90a"])
def test_architectures_have_several_names(name: str) -> None:
    kernel = CudaKernel(source(), "scale<float, 2>", "T")
    assert kernel.compile(name) == kernel.compile("sm_90a")
    assert kernel.compile((9, 0)) == kernel.compile(90)


def test_errors_of_the_compiler_are_shown() -> None:
    kernel = CudaKernel(CudaSource("__global__ void f() { g(); }", "bad.cu"), "f", "")
    with pytest.raises(DeviceError, match=r'bad.cu: kernel f does not .*\n.*"g" is undefined'):
        kernel.compile(90)


def test_unknown_architectures_are_refused() -> None:
    kernel = CudaKernel(source(), "scale<float, 2>", "T")
    with pytest.raises(DeviceError, match="'fast' is no architecture"):
        kernel.compile("fast")
    with pytest.raises(DeviceError, match=r"does not compile for sm_999a, only for: sm_"):
        kernel.compile("sm_999a")


def test_an_architecture_newer_than_the_compiler_gets_ptx() -> None:
    assert b".version" in CudaKernel(source(), "scale<float, 2>", "T").compile("sm_999")


def test_kernels_say_what_they_are_written_for() -> None:
    special = CudaKernel(source(), "scale<float, 2>", "T", architectures=["sm_80", "sm_90a"])
    assert [a for a in (75, 80, 86, 89, 90, 100) if special.supports(a)] == [80, 86, 89, 90]
    assert CudaKernel(source(), "scale<float, 2>", "T").supports(120)


def test_a_second_process_finds_the_kernel_on_disk(cache: Path, compilations: list[str]) -> None:
    first = CudaKernel(source(), "scale<float, 2>", "T").compile(90)
    assert CudaKernel(source(), "scale<float, 2>", "T").compile(90) == first
    assert compilations == ["sm_90"]


def test_whatever_changes_the_code_changes_the_key(cache: Path, compilations: list[str]) -> None:
    CudaKernel(source(), "scale<float, 2>", "T").compile(90)
    CudaKernel(source(3), "scale<float, 2>", "T").compile(90)
    CudaKernel(source(), "scale<float, 3>", "T").compile(90)
    CudaKernel(source(), "scale<float, 2>", "T", ["--use_fast_math"]).compile(90)
    CudaKernel(source(), "scale<float, 2>", "T").compile(80)
    assert len(compilations) == len(list(cache.iterdir())) == 5


def test_a_damaged_file_is_replaced(cache: Path, compilations: list[str]) -> None:
    good = CudaKernel(source(), "scale<float, 2>", "T").compile(90)
    (path,) = cache.iterdir()
    data = path.read_bytes()
    for damaged in (data[:-1], data[:20], b"", data[:-5] + b"12345"):
        path.write_bytes(damaged)
        assert CudaKernel(source(), "scale<float, 2>", "T").compile(90) == good
        assert path.read_bytes() == data
    assert len(compilations) == 5


def test_the_cache_can_be_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUGRT_KERNEL_CACHE", "off")
    CudaKernel(source(), "scale<float, 2>", "T").compile(90)
    assert not list(cache.iterdir())


def test_a_folder_that_cannot_be_written_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    monkeypatch.setenv("PLUGRT_KERNEL_CACHE", str(place / "below"))
    assert CudaKernel(source(), "scale<float, 2>", "T").compile(90)


def test_the_least_recently_used_go_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "LIMIT_BYTES", 3000)
    for age, key in enumerate(("new", "old", "older")):
        kernel_cache.write(key, bytes(900))
        os.utime(cache / key, (1e9 - age, 1e9 - age))
    assert kernel_cache.read("older") == bytes(900)  # a use makes it young again
    kernel_cache.write("newest", bytes(900))
    assert sorted(path.name for path in cache.iterdir()) == ["new", "newest", "older"]


def test_arguments_are_laid_out() -> None:
    kernel = CudaKernel(source(), "scale<float, 2>", "TT4qifP")
    view = TensorView(TensorDesc(DataType.FLOAT32, (4,)), 7, 64)
    packed = kernel.parameters([view, view, [1, 2], 3, 0.5, 99], lambda v: v.slot + v.offset)
    assert [len(value) for value in packed] == [8, 8, 32, 4, 4, 8]
    assert packed[0] == (71).to_bytes(8, "little")
    assert np.frombuffer(packed[2], np.int64).tolist() == [1, 2, 0, 0]


@pytest.mark.parametrize("arguments", [[], [1, 2], ["x", 1], [None, 1]])
def test_arguments_that_do_not_fit_name_the_kernel(arguments: list[Any]) -> None:
    kernel = CudaKernel(source(), "scale<float, 2>", "Ti")
    with pytest.raises(PluginError, match=r"arguments of CudaKernel\(scale.cu: scale<float, 2>\)"):
        kernel.parameters(arguments, lambda view: 0)


def test_a_layout_has_known_letters() -> None:
    with pytest.raises(PluginError, match="'x' is not one of"):
        CudaKernel(source(), "scale<float, 2>", "Tx")
