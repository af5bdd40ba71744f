"""Arrays on the GPU from and for other libraries."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from plugrt.core.devices.cuda.events import DeviceStream
from plugrt.core.devices.cuda.interchange import DeviceArray, ForeignArray
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.plugins import DataType
from plugrt.plugins.native.cuda import Context

pytestmark = pytest.mark.cuda

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def ours(array: Any = X) -> tuple[DeviceBuffer, DeviceArray]:
    buffer = DeviceBuffer.of(Context.of(0), array)
    return buffer, DeviceArray(buffer.address, array.shape, array.dtype, 0, owner=buffer)


def test_torch_reads_ours_in_place() -> None:
    torch: Any = pytest.importorskip("torch")
    buffer, array = ours()
    for taken in (torch.from_dlpack(array), torch.as_tensor(array, device="cuda")):
        assert taken.data_ptr() == buffer.address
        np.testing.assert_array_equal(taken.cpu().numpy(), X)


def test_consumers_keep_the_memory() -> None:
    torch: Any = pytest.importorskip("torch")
    buffer, array = ours()
    alive = weakref.ref(buffer)
    taken = torch.from_dlpack(array)
    del buffer, array
    gc.collect()
    assert alive() is not None
    np.testing.assert_array_equal(taken.cpu().numpy(), X)
    del taken
    gc.collect()
    assert alive() is None


def test_capsules_that_nobody_takes_are_given_back() -> None:
    buffer, array = ours()
    alive = weakref.ref(buffer)
    capsule = array.__dlpack__()
    del buffer, array, capsule
    gc.collect()
    assert alive() is None


def test_cupy_reads_ours_in_place() -> None:
    cupy: Any = pytest.importorskip("cupy")
    buffer, array = ours()
    for taken in (cupy.asarray(array), cupy.from_dlpack(array)):
        assert taken.data.ptr == buffer.address
        np.testing.assert_array_equal(cupy.asnumpy(taken), X)


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "uint8", "int64", "bool"])
def test_torch_tensors_are_read_in_place(name: str) -> None:
    torch: Any = pytest.importorskip("torch")
    tensor = torch.ones((2, 3), dtype=getattr(torch, name), device="cuda")
    found = ForeignArray.of(tensor, DeviceStream(Context.of(0)))
    assert found is not None
    assert (found.address, found.shape, found.ordinal) == (tensor.data_ptr(), (2, 3), 0)
    assert found.dtype is DataType(name)
    assert found.is_contiguous
    turned = ForeignArray.of(tensor.T, DeviceStream(Context.of(0)))
    assert turned is not None
    assert not turned.is_contiguous


def test_cupy_arrays_are_read_in_place() -> None:
    cupy: Any = pytest.importorskip("cupy")
    array = cupy.arange(6, dtype=cupy.float32)
    found = ForeignArray.of(array, DeviceStream(Context.of(0)))
    assert found is not None
    assert (found.address, found.dtype) == (array.data.ptr, DataType.FLOAT32)


def test_arrays_of_the_host_are_no_foreign_arrays() -> None:
    assert ForeignArray.of(X, DeviceStream(Context.of(0))) is None


def test_ours_becomes_numpy_by_a_copy() -> None:
    _, array = ours()
    np.testing.assert_array_equal(np.asarray(array), X)
    with pytest.raises(ValueError, match="without a copy"):
        array.__array__(copy=False)
