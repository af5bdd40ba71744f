"""Branches and loops inside a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plugrt.core.devices.cuda import CudaRecording, CudaSlots, CudaStream, DeviceWeights
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.plugins import DataType, DeviceError, ShapeError, TensorDesc, TensorView
from plugrt.plugins.native.cuda import Context, CudaKernel, CudaSource

from .sample_layers import SCALE

pytestmark = pytest.mark.cuda

LESS = CudaKernel(
    CudaSource(
        """extern "C" __global__ void less(const float *x, float limit, bool *result)
        { *result = *x < limit; }""",
        "less.cu",
    ),
    "less",
    "TfT",
)


class Tensors:
    """Buffers of a test by name, and a recording over them."""

    def __init__(self, **arrays: Any) -> None:
        self.context = Context.of(0)
        self.slots = CudaSlots(DeviceWeights(self.context))
        self.buffers = {n: DeviceBuffer.of(self.context, a) for n, a in arrays.items()}
        self.views = {
            n: TensorView(TensorDesc(DataType.of(a.dtype), a.shape), self.slots.bind(b))
            for (n, a), b in zip(arrays.items(), self.buffers.values(), strict=True)
        }
        self._types = {n: (a.dtype, a.shape) for n, a in arrays.items()}

    def run(self, record: Callable[[CudaStream], None]) -> None:
        def whole(stream: CudaStream) -> None:
            stream.begin_layer("loop")
            record(stream)

        def body(stream: CudaStream, graph: Any, *rest: Any) -> None:
            stream.begin_layer("body")
            graph(stream)

        self.recording = CudaRecording(self.context, self.slots, whole, record_body=body)
        self.recording.replay()
        self.recording.synchronize()

    def __getitem__(self, name: str) -> Any:
        dtype, shape = self._types[name]
        return self.buffers[name].read().view(dtype).reshape(shape)


def body(stream: CudaStream, function: Callable[[CudaStream], None]) -> Any:
    return stream.record(function, [], [], None)  # type: ignore[arg-type]


def scaled(t: Tensors, source: str, target: str, factor: float) -> Callable[[CudaStream], None]:
    def record(stream: CudaStream) -> None:
        count = t.views[source].shape[0]
        stream.launch_grid(SCALE, [1], [256], t.views[source], t.views[target], count, factor)

    return record


@pytest.mark.parametrize("condition", [False, True])
def test_a_branch_takes_one_side(condition: bool) -> None:
    x = np.arange(5, dtype=np.float32)
    t = Tensors(c=np.array(condition), x=x, y=x * 0)

    def record(stream: CudaStream) -> None:
        sides = [body(stream, scaled(t, "x", "y", factor)) for factor in (10.0, 100.0)]
        stream.branch(t.views["c"], sides)
        scaled(t, "y", "x", 1.0)(stream)  # what follows waits for either side

    t.run(record)
    np.testing.assert_array_equal(t["x"], x * (10 if condition else 100))
    t.buffers["x"].write(x)
    t.buffers["c"].write(np.array(not condition))
    t.recording.replay()
    t.recording.synchronize()
    np.testing.assert_array_equal(t["x"], x * (100 if condition else 10))


@pytest.mark.parametrize("by_tensor", [False, True])
def test_a_loop_counts_stacks_and_carries(by_tensor: bool) -> None:
    x = np.array([1, 3], np.float32)
    t = Tensors(
        x=x, y=x * 0, rows=np.zeros((6, 2), np.float32), count=np.array(-1), run=np.array(-1),
        maximum=np.array(4),
    )  # fmt: skip

    def record(stream: CudaStream) -> None:
        stream.repeat(
            body(stream, scaled(t, "x", "y", 2.0)),
            maximum=t.views["maximum"] if by_tensor else 4, iteration=t.views["run"],
            count=t.views["count"], carried=[(t.views["y"], t.views["x"])],
            stacked=[(t.views["y"], t.views["rows"])],
        )  # fmt: skip

    t.run(record)
    assert t["count"] == 4
    assert t["run"] == 3
    np.testing.assert_array_equal(t["x"], x * 16)
    np.testing.assert_array_equal(t["rows"][:4], [x * 2, x * 4, x * 8, x * 16])
    np.testing.assert_array_equal(t["rows"][4:], 0)


def loop_until(t: Tensors, limit: float, **options: Any) -> Callable[[CudaStream], None]:
    def record(stream: CudaStream) -> None:
        def inner(stream: CudaStream) -> None:
            scaled(t, "x", "x", 2.0)(stream)
            stream.launch_grid(LESS, [1], [1], t.views["x"], limit, t.views["c"])

        stream.repeat(
            body(stream, inner), condition=t.views["c"], count=t.views["count"],
            **{"maximum": 1000, **options},
        )  # fmt: skip

    return record


@pytest.mark.parametrize(("start", "runs"), [(1.0, 7), (64.0, 1)])
def test_a_loop_ends_with_its_condition(start: float, runs: int) -> None:
    t = Tensors(x=np.array([start], np.float32), c=np.array(True), count=np.array(-1))
    t.run(loop_until(t, 100.0))
    assert t["count"] == runs
    assert t["x"][0] == start * 2**runs


def test_a_loop_may_run_never() -> None:
    t = Tensors(x=np.ones(1, np.float32), c=np.array(False), count=np.array(-1))
    t.run(loop_until(t, 100.0))
    assert t["count"] == 0
    assert t["x"][0] == 1


def test_too_many_rows_are_an_error_and_write_nothing_behind() -> None:
    t = Tensors(
        x=np.ones(1, np.float32), c=np.array(True), count=np.array(-1),
        rows=np.zeros((3, 1), np.float32), behind=np.full(64, 5, np.float32),
    )  # fmt: skip
    stacked = [(t.views["x"], t.views["rows"])]
    with pytest.raises(DeviceError, match=r"layer 'loop' failed: .*3 rows of its stacked"):
        t.run(loop_until(t, 100.0, stacked=stacked))
    np.testing.assert_array_equal(t["rows"][:, 0], [2, 4, 8])


def test_loops_nest() -> None:
    t = Tensors(x=np.ones(1, np.float32))

    def inner(stream: CudaStream) -> None:
        stream.repeat(body(stream, scaled(t, "x", "x", 2.0)), maximum=3)

    def record(stream: CudaStream) -> None:
        stream.repeat(body(stream, inner), maximum=4)

    t.run(record)
    assert t["x"][0] == 2**12


def test_carried_values_keep_their_shape() -> None:
    t = Tensors(x=np.ones(2, np.float32), y=np.ones(3, np.float32))

    def record(stream: CudaStream) -> None:
        stream.repeat(
            body(stream, scaled(t, "x", "x", 2.0)), maximum=3,
            carried=[(t.views["x"], t.views["y"])],
        )  # fmt: skip

    with pytest.raises(ShapeError, match="a carried value keeps its shape"):
        t.run(record)
