"""Strided copies against NumPy's assignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt.plugins.data_types import DataType
from plugrt.plugins.errors import DeviceError, ShapeError
from plugrt.plugins.native import copying, extension_available
from plugrt.plugins.native.immediate import run_kernel
from plugrt.plugins.tensor import Format, TensorDesc, TensorView

pytestmark = pytest.mark.skipif(
    not extension_available(), reason="the native extension is not built"
)

Array = np.ndarray[Any, np.dtype[Any]]


class Recorder:
    """As much of a stream as copies use: runs what is launched."""

    device = "cpu"

    def __init__(self, slots: list[Array]) -> None:
        self.slots = slots
        self.launches = 0

    def launch_raw(self, address: int, arguments: bytes, keep: object = None) -> None:
        self.launches += 1
        run_kernel(address, arguments, self.slots, thread_count=2)


def numbered(shape: tuple[int, ...], dtype: Any) -> Array:
    return (np.arange(np.prod(shape)) % 60000).astype(dtype).reshape(shape)


def in_format(array: Array, layout: Format) -> Array:
    """The memory of a logical NCHW array in a format."""
    n, c, h, w = array.shape
    if layout is Format.CHANNELS_LAST:
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1))
    if layout is Format.CHANNELS_BLOCKED_16:
        blocks = array.reshape(n, c // 16, 16, h, w)
        return np.ascontiguousarray(blocks.transpose(0, 1, 3, 4, 2))
    return np.ascontiguousarray(array)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("source", list(Format))
@pytest.mark.parametrize("target", list(Format))
@pytest.mark.parametrize("shape", [(2, 32, 9, 7), (1, 16, 1, 1), (1, 48, 37, 41)], ids=str)
def test_reformat(
    dtype: str, source: Format, target: Format, shape: tuple[int, ...]
) -> None:
    array = numbered(shape, dtype)
    memory = in_format(array, source)
    expected = in_format(array, target)
    out = np.zeros_like(expected)
    kind = DataType.of(dtype)
    copy = copying.compile_copy(TensorDesc(kind, shape, source), TensorDesc(kind, shape, target))
    run_kernel(copy.address, copy.arguments((0, 0), (1, 0)), [memory, out], 2)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (17, 33), (100, 8), (7, 130), (300, 301)])
@pytest.mark.parametrize("threads", [1, 2])
def test_transposition(dtype: str, shape: tuple[int, int], threads: int) -> None:
    array = numbered(shape, dtype)
    out = np.zeros(shape[::-1], dtype)
    copying.run(array.T, out, threads)
    np.testing.assert_array_equal(out, array.T)


@pytest.mark.parametrize("size", [1, 15, 16, 1000, 4096, 100_003, 1_048_576])
def test_contiguous(size: int) -> None:
    array = numbered((size,), np.uint8)
    out = np.zeros(size + 1, np.uint8)
    copying.run(array, out[:size], 2)
    np.testing.assert_array_equal(out[:size], array)
    assert out[size] == 0


def test_broadcasting_source() -> None:
    row = numbered((1, 5, 1), np.float32)
    out = np.zeros((3, 5, 40), np.float32)
    copying.run(row, out, 2)
    np.testing.assert_array_equal(out, np.broadcast_to(row, out.shape))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_random_views(data: st.DataObject) -> None:
    draw = data.draw
    rank = draw(st.integers(1, 5))
    sizes = st.sampled_from([1, 2, 3, 4, 7, 16, 33])
    shapes = st.lists(sizes, min_size=rank, max_size=rank)
    shape = tuple(draw(shapes.filter(lambda shape: np.prod(shape) <= 20_000)))
    dtype = draw(st.sampled_from(["uint8", "int16", "float32", "int64", "complex128"]))

    def view(whole_of: Any) -> Array:
        order = draw(st.permutations(range(rank)))
        steps = [draw(st.sampled_from([1, 1, 2, 3])) for _ in range(rank)]
        memory = whole_of(tuple(shape[axis] * steps[axis] for axis in order))
        array = memory.transpose(np.argsort(order))
        return array[tuple(slice(None, None, step) for step in steps)]

    source = view(lambda wide: numbered(wide, dtype))
    destination = view(lambda wide: np.zeros(wide, dtype))
    copying.run(source, destination, draw(st.sampled_from([1, 2])))
    np.testing.assert_array_equal(destination, source)
    base = destination.base if destination.base is not None else destination
    assert np.count_nonzero(base) == np.count_nonzero(source)


def test_concat_leaves_what_lies_in_place() -> None:
    parts = [numbered((2, size, 3), np.float32) for size in (4, 1, 6)]
    out = np.zeros((2, 11, 3), np.float32)
    whole = TensorView(TensorDesc(DataType.FLOAT32, out.shape), slot=3)
    views = [TensorView(TensorDesc(DataType.FLOAT32, p.shape), i) for i, p in enumerate(parts)]
    stream = Recorder([*parts, out])
    copying.record_concat(stream, views, whole, axis=1)  # type: ignore[arg-type]
    np.testing.assert_array_equal(out, np.concatenate(parts, 1))
    stream.launches = 0
    views[1] = whole.slice(1, 4, 1)
    copying.record_concat(stream, views, whole, axis=1)  # type: ignore[arg-type]
    assert stream.launches == 2
    with pytest.raises(ShapeError, match="sources have 10"):
        copying.record_concat(stream, [views[0], views[2]], whole, axis=1)  # type: ignore[arg-type]


def test_permuted_view() -> None:
    array = numbered((2, 3, 4), np.int32)
    out = np.zeros((4, 2, 3), np.int32)
    view = copying.permuted(TensorView(TensorDesc(DataType.INT32, array.shape), 0), (2, 0, 1))
    target = TensorView(TensorDesc(DataType.INT32, out.shape), 1)
    copying.record(Recorder([array, out]), view, target)  # type: ignore[arg-type]
    np.testing.assert_array_equal(out, array.transpose(2, 0, 1))
    with pytest.raises(ShapeError, match="no permutation"):
        copying.permuted(view, (0, 0, 1))


def test_refusals_name_what_is_wrong() -> None:
    f32 = TensorDesc(DataType.FLOAT32, (3,))
    with pytest.raises(ShapeError, match="pointwise pass"):
        copying.compile_copy(f32, TensorDesc(DataType.INT32, (3,)))
    with pytest.raises(ShapeError, match="does not broadcast"):
        copying.compile_copy(f32, TensorDesc(DataType.FLOAT32, (4,)))
    copy = copying.compile_copy(f32, f32)
    with pytest.raises(DeviceError, match="slots 0 and 7 of a call with 1 slots"):
        run_kernel(copy.address, copy.arguments((0, 0), (7, 0)), [np.zeros(3, np.float32)])


def test_empty_tensors_launch_nothing() -> None:
    stream = Recorder([])
    empty = TensorView(TensorDesc(DataType.FLOAT32, (0, 3)), 0)
    copying.record(stream, empty, TensorView(empty.desc, 1))  # type: ignore[arg-type]
    assert stream.launches == 0
