"""What docs/write-a-layer.md teaches of GPUs compiles anywhere; its layers launch what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugrt.core.runtime.standalone import run_layer
from plugrt.plugins import DataType, Format, PluginError, TensorDesc, TensorView
from plugrt.plugins.native.cuda import ARCHITECTURES, guest_array
from plugrt.testing import check_layer
from tests.cuda.documented import documented_names
from tests.cuda.kernel_harness import CollectingStream


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    return documented_names()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_kernels_compile(names: dict[str, Any], architecture: str) -> None:
    for kernel in names["KERNELS"].values():
        assert kernel.compile(architecture).startswith(b"\x7fELF")


@pytest.mark.parametrize("layout", [Format.LINEAR, Format.CHANNELS_LAST])
def test_the_layer_launches_one_kernel(names: dict[str, Any], layout: Format) -> None:
    stream = CollectingStream()
    desc = TensorDesc(DataType.FLOAT16, (2, 8, 3, 5), layout)
    names["CentreChannels"]().enqueue([TensorView(desc, 1)], [TensorView(desc, 2)], None, stream)
    assert stream.kernels == [names["KERNELS"][DataType.FLOAT16, layout]]


def test_the_layer_keeps_the_contract_on_the_cpu(names: dict[str, Any]) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 3, 4), np.float32)
    (y,) = run_layer(names["CentreChannels"](), [x])
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-6)
    report = check_layer(names["CentreChannels"], names["registry"])
    assert report.passed, [result for result in report.results if result.status == "failed"]


class Placed(CollectingStream):
    """A stream on which tensors have addresses."""

    def address(self, view: TensorView) -> int:
        return 4096 * view.slot + view.offset


def test_guests_see_a_tensor_with_its_strides() -> None:
    desc = TensorDesc(DataType.FLOAT16, (2, 8, 3, 5), Format.CHANNELS_LAST)
    found = guest_array(Placed(), TensorView(desc, 2, 16)).__cuda_array_interface__
    assert found == {
        "shape": (2, 8, 3, 5), "typestr": "<f2", "data": (8208, False),
        "strides": (240, 2, 80, 16), "version": 3, "stream": None,
    }  # fmt: skip
    narrow = TensorView(TensorDesc(DataType.BFLOAT16, (4,)), 1)
    with pytest.raises(PluginError, match="bfloat16 has no name in __cuda_array_interface__"):
        guest_array(Placed(), narrow)
