"""The package itself: what works without its compiled parts, processor and threads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from plugrt.plugins import native
from plugrt.plugins.errors import DeviceError
from plugrt.plugins.native.immediate import aligned_empty

needs_extension = pytest.mark.skipif(
    not native.extension_available(), reason="the native extension is not built"
)


def test_the_header_is_where_include_dir_says() -> None:
    text = (native.include_dir() / "plugrt_kernel.h").read_text(encoding="utf-8")
    assert "PLUGRT_KERNEL_ABI_VERSION" in text


def test_unknown_services_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        native.__getattr__("nonsense")


def run_python(code: str, environment: dict[str, str] | None = None) -> str:
    import os

    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_without_the_extension_imports_work_and_use_explains() -> None:
    out = run_python(
        """
import sys
sys.modules["plugrt.plugins.native._native"] = None
from plugrt.plugins import native
from plugrt.plugins.expression import Input
from plugrt.plugins.errors import DeviceError
assert not native.extension_available()
assert not native.onednn.available()
assert not native.pointwise.supports(Input(0))
assert not native.copying.available()
assert native.cpu.features() == frozenset()
print(native.onednn.unavailable_reason())
for use in (native.onednn.library, lambda: native.kernel_address("plugrt_copy")):
    try:
        use()
    except DeviceError as error:
        print(error)
    else:
        raise SystemExit("no error")
"""
    )
    assert out.count("compiled part of plugrt.plugins.native") == 3


@needs_extension
def test_a_missing_library_is_a_reason_not_an_exception() -> None:
    out = run_python(
        "from plugrt.plugins.native import onednn\n"
        "assert not onednn.available()\n"
        "print(onednn.unavailable_reason())",
        {"PLUGRT_ONEDNN": "/nowhere/libdnnl.so.3"},
    )
    assert "/nowhere/libdnnl.so.3" in out
    assert "install onednn-cpu-gomp" in out


@needs_extension
def test_a_library_without_the_functions_is_a_reason() -> None:
    out = run_python(
        "from plugrt.plugins.native import onednn\nprint(onednn.unavailable_reason())",
        {"PLUGRT_ONEDNN": "libgomp.so.1"},
    )
    assert "libgomp.so.1 has no function dnnl_version" in out


@needs_extension
def test_denormals_are_flushed_on_every_worker() -> None:
    before = native.cpu.set_flush_denormals(False)
    try:
        native.cpu.prime_threads(2)
        assert native.cpu.flushing_threads(2) == 2
        native.cpu.set_flush_denormals(False)  # the caller's setting alone
        assert native.cpu.flushing_threads(2) == 1
        native.cpu.prime_threads(2)
        assert native.cpu.flushing_threads(2) == 2
        assert native.cpu.prime_threads_address() != 0
    finally:
        native.cpu.set_flush_denormals(before)


@needs_extension
def test_team_sizes_and_processors() -> None:
    assert native.cpu.available_processors() >= 1
    before = native.cpu.get_num_threads()
    native.cpu.set_num_threads(3)
    assert native.cpu.get_num_threads() == 3
    native.cpu.set_num_threads(before)
    with pytest.raises(ValueError, match="at least 1"):
        native.cpu.set_num_threads(0)


@needs_extension
def test_features_agree_with_the_kernel() -> None:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = {line.partition(":")[2] for line in file if line.startswith("flags")}
    if not flags:
        pytest.skip("no x86 flags in /proc/cpuinfo")
    known = set(flags.pop().split())
    names = {"avx512vnni": "avx512_vnni", "avx512bf16": "avx512_bf16"}
    for feature in native.cpu.features():
        assert names.get(feature, feature) in known


@needs_extension
def test_unknown_kernels_are_named() -> None:
    with pytest.raises((DeviceError, AttributeError), match="plugrt_nothing"):
        native.kernel_address("plugrt_nothing")


def test_aligned_buffers() -> None:
    for size in (0, 1, 63, 64, 1000):
        buffer = aligned_empty(size)
        assert buffer.nbytes == size
        assert buffer.dtype == np.uint8
        assert buffer.ctypes.data % 64 == 0 or size == 0
