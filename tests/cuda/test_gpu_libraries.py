"""cuDNN and cuBLASLt against NumPy."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.core.runtime.buffers import from_memory, to_memory
from plugrt.plugins import DataType, DeviceError, Expression, Format, Input, TensorDesc
from plugrt.plugins.expression import evaluate, maximum, tanh, where
from plugrt.plugins.native.cuda import Context, cudnn, kernel_cache
from plugrt.plugins.native.cuda import cublaslt as lt
from plugrt.plugins.native.cuda.cudnn import ConvolutionGraph, biased, convolution

pytestmark = pytest.mark.cuda

RANDOM = np.random.default_rng(3)
SUM = Input(0)
TOLERANCE = {
    DataType.FLOAT32: 2e-6, DataType.FLOAT16: 2e-3, DataType.BFLOAT16: 1e-2,
}  # fmt: skip


def draw(shape: tuple[int, ...], dtype: DataType) -> Any:
    return RANDOM.standard_normal(shape, np.float32).astype(dtype.numpy)


def distance(found: Any, wanted: Any) -> float:
    difference = found.astype(np.float64) - wanted
    return float(np.linalg.norm(difference) / np.linalg.norm(wanted))


def convolved(x: Any, w: Any, stride: int, pad: int, groups: int) -> Any:
    x, w = x.astype(np.float64), w.astype(np.float64)
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    windows = windows[:, :, ::stride, ::stride]
    parts = [
        np.einsum("nchwij,ocij->nohw", part, kernel, optimize=True)
        for part, kernel in zip(
            np.split(windows, groups, 1), np.split(w, groups, 0), strict=True
        )
    ]
    return np.concatenate(parts, 1)


class Case:
    """One convolution: shapes, arrays, graph, and how a plan is run and judged."""

    def __init__(
        self, dtype: DataType, expression: Expression = SUM, operands: tuple[Any, ...] = (),
        groups: int = 1, tf32: bool = False, kernel: int = 3, stride: int = 1,
    ) -> None:  # fmt: skip
        layout = Format.CHANNELS_LAST
        self.x = draw((2, 32, 14, 14), dtype)
        outputs = 48 if groups == 1 else 32
        self.w = draw((outputs, 32 // groups, kernel, kernel), dtype)
        pad = kernel // 2
        self.sum = convolved(self.x, self.w, stride, pad, groups)
        self.operands = operands
        self.expression = expression
        self.tolerance = 2e-3 if tf32 else TOLERANCE[dtype]
        described = [TensorDesc(dtype, array.shape, layout) for array in (self.x, self.w)]
        self.output = TensorDesc(dtype, self.sum.shape, layout)
        self.operand_descs = tuple(
            TensorDesc(DataType.of(o.dtype), o.shape, layout if o.ndim == 4 else Format.LINEAR)
            for o in operands
        )
        self.graph = ConvolutionGraph(
            described[0], described[1], self.output, (stride, stride), (pad, pad), (pad, pad),
            (1, 1), expression, self.operand_descs, tf32,
        )  # fmt: skip

    def run(self, plan: Any) -> float:
        context = Context.of(0)
        given = [
            DeviceBuffer.of(context, to_memory(a, Format.CHANNELS_LAST if a.ndim == 4 else
                                               Format.LINEAR))
            for a in (self.x, self.w, *self.operands)
        ]  # fmt: skip
        target = DeviceBuffer(context, self.output.nbytes)
        target.fill(0xFF)
        scratch = DeviceBuffer(context, plan.workspace_bytes)
        from plugrt.core.devices.cuda.events import DeviceStream

        stream = DeviceStream(context)
        with context.current():
            plan.execute(
                stream.handle, given[0].address, given[1].address, target.address,
                [b.address for b in given[2:]], scratch.address,
            )  # fmt: skip
        stream.synchronize()
        memory = target.read().view(self.output.dtype.numpy)
        found = from_memory(memory, self.output.sizes, self.output.format)
        values = [self.sum, *(o.astype(np.float64) for o in self.operands)]
        return distance(found, evaluate(self.expression, values, rank=4))

    def check(self, at_most: int = 4) -> int:
        """Run the first plans that can be built; how many those were."""
        names = self.graph.plans()
        assert names, "cuDNN proposes nothing"
        assert len(set(names)) == len(names)
        built = 0
        for name in names:
            try:
                plan = self.graph.build(name)
            except DeviceError:
                continue
            assert self.run(plan) < self.tolerance, name
            built += 1
            if built == at_most:
                break
        assert built
        return built


@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_plain_convolutions(dtype: DataType) -> None:
    assert Case(dtype).check() >= 2


def test_float32_rounds_to_tf32_only_when_allowed() -> None:
    exact, rounded = Case(DataType.FLOAT32), Case(DataType.FLOAT32, tf32=True)
    rounded.check()
    assert set(rounded.graph.plans()) > set(exact.graph.plans())
    assert len(rounded.graph.plans()) >= 10
    assert any("_k" in name for name in rounded.graph.plans()), "names tell the knobs"


@pytest.mark.parametrize("groups", [4, 32])
def test_groups(groups: int) -> None:
    Case(DataType.FLOAT16, groups=groups).check(2)


@pytest.mark.parametrize("bias_type", [DataType.FLOAT32, DataType.FLOAT16])
@pytest.mark.parametrize("residual_first", [False, True])
def test_bias_residual_and_relu(bias_type: DataType, residual_first: bool) -> None:
    bias = draw((48,), bias_type)
    residual = draw((2, 48, 14, 14), DataType.FLOAT16)
    body = maximum(Input(0) + Input(2), 0)
    expression = biased(body, Input(1, axis=1), residual_first)
    Case(DataType.FLOAT16, expression, (bias, residual)).check()


ACTIVATIONS = {
    "relu": lambda x: maximum(x, 0),
    "leaky": lambda x: where(x > 0, x, x * 0.1),
    "tanh": tanh,
    "mish": lambda x: x * tanh(_softplus(x)),
    "hard_swish": lambda x: x * _clipped(x * (1 / 6) + 0.5),
}


def _softplus(x: Any) -> Any:
    from plugrt.plugins.expression import exp, log

    return log(1 + exp(x))


def _clipped(x: Any) -> Any:
    from plugrt.plugins.expression import clip

    return clip(x, 0, 1)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    expression = ACTIVATIONS[name](Input(0) * 0.1 + Input(1, axis=1))
    Case(DataType.FLOAT16, expression, (draw((48,), DataType.FLOAT32),)).check(2)


def test_a_plan_is_found_again_by_name_and_from_its_bytes() -> None:
    case = Case(DataType.FLOAT16)
    for name in case.graph.plans():
        try:
            plan = case.graph.build(name)
        except DeviceError:
            continue
        again = case.graph.load(plan.serialized())
        assert again.workspace_bytes == plan.workspace_bytes
        assert case.run(again) < case.tolerance
        return
    pytest.fail("no plan could be built")


def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of plans that are built in this process from now on."""
    seen: list[str] = []
    real = convolution.build_plan

    def spy(context: Any, graph: Any, name: str, constants: Any) -> Any:
        seen.append(name)
        return real(context, graph, name, constants)

    monkeypatch.setattr(convolution, "build_plan", spy)
    return seen


def test_plans_are_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUGRT_KERNEL_CACHE", str(tmp_path))
    seen = builds(monkeypatch)
    case = Case(DataType.FLOAT16)
    name = case.graph.plans()[0]
    (proposals,) = tmp_path.iterdir()
    assert case.graph.plans()[0] == name
    case.graph.build(name)
    assert case.run(case.graph.build(name)) < case.tolerance
    assert seen == [name]
    (path,) = set(tmp_path.iterdir()) - {proposals}
    path.unlink()
    kernel_cache.write(path.name, b"{}")  # whole, but no plan
    assert case.run(case.graph.build(name)) < case.tolerance
    assert seen == [name, name]


def test_many_plans_are_built_by_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUGRT_KERNEL_CACHE", str(tmp_path))
    seen = builds(monkeypatch)
    bias = draw((48,), DataType.FLOAT32)
    graphs = [
        Case(DataType.FLOAT16, maximum(Input(0) + Input(1, axis=1), 0), (bias,)).graph,
        Case(DataType.FLOAT16, Input(0) + Input(1, axis=1), (bias,)).graph,
    ]
    requests = [(graph, name) for graph in graphs for name in graph.plans()]
    cudnn.build_ahead(requests, processes=2)
    for graph, name in requests:
        with suppress(DeviceError):
            graph.build(name)
    # What failed in a worker otherwise than by cuDNN's refusal is tried again here.
    assert len(seen) < len(requests) / 4


def test_unknown_plans_and_damaged_bytes_are_refused() -> None:
    graph = Case(DataType.FLOAT16).graph
    for name in ("eng", "eng999999", "eng0_k2"):
        with pytest.raises(DeviceError):
            graph.build(name)
    with pytest.raises(DeviceError):
        graph.load(b"{}")


def product(p: lt.MatrixProduct, name: str, a: Any, b: Any, bias: Any, residual: Any) -> Any:
    from plugrt.core.devices.cuda.events import DeviceStream

    context = Context.of(0)
    plan = p.build(name)
    buffers = [DeviceBuffer.of(context, array) for array in (a, b, bias, residual)]
    target = DeviceBuffer(context, p.rows * p.columns * p.dtype.itemsize)
    target.fill(0xFF)
    scratch = DeviceBuffer(context, plan.workspace_bytes)
    stream = DeviceStream(context)
    with context.current():
        plan.execute(
            stream.handle, buffers[0].address, buffers[1].address, target.address,
            buffers[2].address, buffers[3].address, scratch.address,
        )  # fmt: skip
    stream.synchronize()
    return target.read().view(p.dtype.numpy).reshape(p.rows, p.columns)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_matrix_products(dtype: DataType, plain: bool) -> None:
    rows, columns, depth = 64, 96, 128
    a, bias = draw((rows, depth), dtype), draw((columns,), dtype)
    b = draw((depth, columns) if plain else (columns, depth), dtype)
    residual = draw((rows, columns), dtype)
    exact = a.astype(np.float64) @ (b if plain else b.T).astype(np.float64)
    whole = lt.MatrixProduct(rows, columns, depth, dtype, bias=True, activation="relu",
                             residual=True, b_is_plain=plain)  # fmt: skip
    wanted = np.maximum(exact + residual.astype(np.float64) + bias.astype(np.float64), 0)
    for description, expected in (
        (replace(whole, bias=False, activation="none", residual=False), exact), (whole, wanted)
    ):  # fmt: skip
        names = description.algorithms()
        assert names
        for name in names[:3]:
            found = product(description, name, a, b, bias, residual)
            assert distance(found, expected) < TOLERANCE[dtype], name


def test_versions_and_unknown_algorithms() -> None:
    assert cudnn.version() >= (9, 0, 0)
    assert lt.version() >= (12, 0, 0)
    with pytest.raises(DeviceError, match="is no algorithm of cuBLASLt"):
        lt.MatrixProduct(8, 8, 8, DataType.FLOAT16).build("fast")
