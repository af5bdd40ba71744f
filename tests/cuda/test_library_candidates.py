"""What convolutions and products ask of cuDNN and cuBLASLt, and how their tactics find plans
again; both libraries are played, so that this needs no GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plugrt.builtin_layers import cublaslt_product
from plugrt.builtin_layers.convolution import Convolution, cudnn_candidate, cudnn_quantised
from plugrt.builtin_layers.convolution.cublaslt_candidate import row_step
from plugrt.builtin_layers.fully_connected import FullyConnected
from plugrt.builtin_layers.matmul import MatMul
from plugrt.plugins import (
    Combination,
    DataType,
    Epilogue,
    EpilogueStep,
    Expression,
    Format,
    Input,
    LayerPlugin,
    Quantization,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)
from plugrt.plugins.expression import maximum, tanh
from plugrt.plugins.native.cuda import cublaslt, cudnn
from tests.cuda.kernel_harness import CollectingStream

HALF, FLOAT, LAST = DataType.FLOAT16, DataType.FLOAT32, Format.CHANNELS_LAST
X = Input(0)
RELU = Epilogue((EpilogueStep(maximum(X, 0)),))
RESIDUAL_RELU = Epilogue((EpilogueStep(X + Input(1), 1), EpilogueStep(maximum(X, 0))))
SCRATCH = 4096
MISSING = "eng0"
"""A plan that is proposed and cannot be built."""


class PlayedPlan:
    """Notes its calls."""

    workspace_bytes = SCRATCH

    def __init__(self, what: Any, name: str) -> None:
        self.what = what
        self.name = name
        self.calls: list[Any] = []

    def execute(self, *arguments: Any) -> None:
        self.calls.append(arguments)


class LibraryStream(CollectingStream):
    """A stream with a handle, on which libraries launch."""

    handle = 77

    def address(self, view: TensorView) -> int:
        return 4096 * view.slot + view.offset

    def keep(self, resource: object) -> None:
        self.plans.append(resource)

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[Any] = []


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN proposes three plans for each graph, one of them for all, cuBLASLt two algorithms for
    each product."""

    def built(graph: Any, name: str, ordinal: int) -> PlayedPlan | None:
        return None if name == MISSING else PlayedPlan(graph, name)

    monkeypatch.setattr(cudnn, "available", lambda: True)
    monkeypatch.setattr(cublaslt, "available", lambda: True)
    def proposed(graph: Any) -> tuple[str, ...]:
        own_bias = bool(graph.operands) and graph.operands[0].dtype is HALF
        if own_bias and graph.expression == maximum((X + Input(2)) + Input(1, axis=1), 0):
            return ("eng4", "eng41", "eng42")
        return (MISSING, "eng39", "eng4") if own_bias else (MISSING, "eng1_k2=3", "eng4")

    monkeypatch.setattr(cudnn_candidate, "proposed_plans", proposed)
    monkeypatch.setattr(cudnn_candidate, "built", built)
    monkeypatch.setattr(cublaslt_product, "_algorithms", lambda product: ("lt_a", "lt_b"))
    monkeypatch.setattr(cublaslt_product, "_plan", built)


def constant(*shape: int, dtype: DataType = HALF) -> TensorDesc:
    value = np.arange(np.prod(shape)).reshape(shape).astype(dtype.numpy)
    return TensorDesc(dtype, shape, value=value)


def convolution(
    kernel: int = 3, epilogue: Epilogue = RELU, dtype: DataType = HALF, layout: Format = LAST,
    bias: bool = True, tf32: bool = False, **attributes: Any,
) -> tuple[LayerPlugin, TacticRequest]:
    """A layer and what the tuner asks it."""
    layer = Convolution(padding=(kernel // 2,) * 4, **attributes)
    source = TensorDesc(dtype, (2, 32, 8, 6), layout)
    given = [source, constant(48, 32 // layer.groups, kernel, kernel, dtype=dtype)]
    given += [constant(48, dtype=FLOAT)] if bias else []
    output = TensorDesc(dtype, (2, 48, 8, 6), layout)
    operands = [output] * epilogue.operands
    request = TacticRequest((*given, *operands), (output,), epilogue, "cuda", tf32=tf32)
    return layer, request


def names(layer: LayerPlugin, request: TacticRequest) -> list[str]:
    return [tactic.name for tactic in layer.getTactics(request)]


def run(layer: LayerPlugin, request: TacticRequest, name: str) -> PlayedPlan:
    """Record one tactic as the core does; the plan that was put on the stream."""
    (tactic,) = [t for t in layer.getTactics(replace(request, name=name)) if t.name == name]
    layer.setTactic(tactic)
    layer.setEpilogue(request.epilogue)
    assert layer.getWorkspaceSize(request.inputs, request.outputs) == SCRATCH
    stream = record(layer, request)
    (plan,) = stream.plans
    assert isinstance(plan, PlayedPlan)
    assert len(plan.calls) == 1
    assert not stream.kernels
    return plan


def record(layer: LayerPlugin, request: TacticRequest, offset: int = 0) -> LibraryStream:
    stream = LibraryStream()
    views = [
        TensorView(desc, slot, offset if slot == 0 else 0, digest=f"input {slot}")
        for slot, desc in enumerate(request.inputs, 1)
    ]
    views[0] = replace(views[0], offset=offset)
    output = TensorView(request.outputs[0], 100)
    scratch = TensorView(TensorDesc(DataType.UINT8, (SCRATCH,)), 200)
    layer.enqueue(views, [output], scratch, stream)
    return stream


def expressions(found: Sequence[str], layer: Any, request: TacticRequest) -> set[Expression]:
    return {run(layer, request, name).what.expression for name in found}


def test_plans_of_both_bias_types_are_tactics() -> None:
    layer, request = convolution()
    found = names(layer, request)
    prefix = "cuda:cudnn:"
    assert found == [
        f"{prefix}{MISSING}", f"{prefix}own_bias:eng39", f"{prefix}eng1_k2=3", f"{prefix}eng4"
    ]  # fmt: skip
    own = run(layer, request, f"{prefix}own_bias:eng4").what.operands
    wide = run(layer, request, f"{prefix}eng4").what.operands
    assert [own[0].dtype, wide[0].dtype] == [HALF, FLOAT]


def test_a_residual_is_added_before_the_bias_or_behind_it() -> None:
    layer, request = convolution(epilogue=RESIDUAL_RELU)
    prefix = "cuda:cudnn:"
    own = f"{prefix}own_bias:"
    found = [
        f"{prefix}eng1_k2=3", f"{prefix}eng4", f"{own}eng39", f"{own}residual_first:eng41",
        f"{own}residual_first:eng42",
    ]  # fmt: skip
    assert set(names(layer, request)) == {f"{prefix}{MISSING}", *found}
    bias, residual = Input(1, axis=1), Input(2)
    assert expressions(found, layer, request) == {
        maximum((X + bias) + residual, 0), maximum((X + residual) + bias, 0)
    }  # fmt: skip
    plan = run(layer, request, "cuda:cudnn:own_bias:residual_first:eng4")
    stream, source, _, output, operands, workspace = plan.calls[0]
    assert (stream, source, output, workspace) == (77, 4096, 409600, 819200)
    assert operands[1] == 4 * 4096


def test_other_formats_get_few_plans() -> None:
    layer, request = convolution(layout=Format.LINEAR)
    assert names(layer, request) == [f"cuda:cudnn:{MISSING}", "cuda:cudnn:eng1_k2=3"]


def test_weights_go_into_the_order_of_the_activations() -> None:
    layer, request = convolution()
    weights = request.inputs[1].value
    assert weights is not None
    packed = cudnn_candidate.pack(weights, HALF, LAST)
    assert (packed.shape, packed.dtype) == ((48, 3, 3, 32), np.float16)
    assert (packed[5, 1, 2] == weights[5, :, 1, 2]).all()
    assert run(layer, request, "cuda:cudnn:eng4").what.weights.format is LAST
    layer, request = convolution(dtype=FLOAT, layout=Format.LINEAR)
    assert run(layer, request, "cuda:cudnn:eng4").what.weights.format is Format.LINEAR


def test_float32_rounds_to_tf32_only_when_allowed() -> None:
    layer, request = convolution(dtype=FLOAT)
    assert not any("tf32" in name for name in names(layer, request))
    layer, allowed = convolution(dtype=FLOAT, tf32=True)
    assert "cuda:cudnn:tf32:eng4" in names(layer, allowed)
    assert run(layer, request, "cuda:cudnn:tf32:eng4").what.tf32


def test_a_plan_that_cannot_be_built_gives_way() -> None:
    layer, request = convolution()
    assert run(layer, request, f"cuda:cudnn:{MISSING}").name == "eng39"


def test_what_has_to_be_built_can_be_built_ahead() -> None:
    layer, request = convolution(epilogue=RESIDUAL_RELU)
    found = layer.getCompilations(request, layer.getTactics(request))
    assert len(found) == len(set(found)) == 6
    graph, name = found[0]  # type: ignore[misc]
    assert (type(graph), name) == (cudnn.ConvolutionGraph, MISSING)
    assert not layer.getCompilations(replace(request, device="cpu"), layer.getTactics(request))


def test_a_slice_that_begins_between_accesses_runs_by_loops() -> None:
    layer, request = convolution()
    layer.setTactic(layer.getTactics(replace(request, name="cuda:cudnn:eng4"))[0])
    layer.setEpilogue(request.epilogue)
    stream = record(layer, request, offset=8)
    assert not stream.plans
    assert stream.kernels[0].function.startswith("convolution_direct")


def test_points_are_matrix_products_too() -> None:
    layer, request = convolution(kernel=1, epilogue=RESIDUAL_RELU)
    assert "cuda:cublaslt:lt_b" in names(layer, request)
    plan = run(layer, request, "cuda:cublaslt:lt_b")
    product = plan.what
    assert (product.rows, product.columns, product.depth) == (96, 48, 32)
    assert (product.bias, product.residual, product.activation) == (True, True, "relu")
    assert plan.calls[0][1:3] == (4096, 2 * 4096)
    assert plan.calls[0][5] == 4 * 4096
    for other in ({"kernel": 3}, {"groups": 2}, {"strides": (2, 2)}, {"layout": Format.LINEAR}):
        layer, request = convolution(**{"kernel": 1, **other})  # type: ignore[arg-type]
        assert not any("cublaslt" in name for name in names(layer, request)), other


def test_points_of_slices_have_longer_rows() -> None:
    whole = TensorDesc(HALF, (2, 64, 8, 6), LAST)
    part = TensorDesc(HALF, (2, 32, 8, 6), LAST, whole.element_strides)
    assert (row_step(whole), row_step(part)) == (64, 64)
    crop = TensorDesc(HALF, (2, 64, 4, 3), LAST, whole.element_strides)
    assert row_step(crop) is None
    assert row_step(TensorDesc(HALF, (1, 64, 1, 1), LAST)) == 64


def test_own_loops_are_what_is_left() -> None:
    layer, request = convolution()
    assert "cuda:direct" not in names(layer, request)
    layer, request = eight_bits(zero_point=3)
    assert names(layer, request) == ["cuda:direct"]


def eight_bits(
    epilogue: Epilogue = RELU, zero_point: int = 0, result: Quantization | None = None,
) -> tuple[LayerPlugin, TacticRequest]:  # fmt: skip
    """A convolution whose source is in steps of 0.5, weights in steps of 0.25, and operands and
    result in those given."""
    layer, request = convolution(epilogue=epilogue)
    source, _, bias, *operands = request.inputs
    (output,) = request.outputs
    if result is None:
        output = replace(output, dtype=FLOAT)
    else:
        output = replace(output, dtype=DataType.INT8, quantization=result)
    operands = [replace(output, quantization=Quantization((2.0,))) for _ in operands]
    inputs = (
        replace(source, dtype=DataType.INT8, quantization=Quantization((0.5,), (zero_point,))),
        replace(constant(48, 32, 3, 3, dtype=DataType.INT8), quantization=Quantization((0.25,))),
        bias, *operands,
    )  # fmt: skip
    return layer, replace(request, inputs=inputs, outputs=(output,))


def quantised_form(layer: LayerPlugin, request: TacticRequest) -> cudnn_quantised.Form:
    problem = layer._problem(  # type: ignore[attr-defined]
        request.inputs, request.outputs[0], request.epilogue, 1, "cuda"
    )
    form = cudnn_quantised.form_of(problem)
    assert form is not None
    return form


def test_scales_become_vectors_in_units_of_the_result() -> None:
    form = quantised_form(*eight_bits(RESIDUAL_RELU, result=Quantization((4.0,))))
    scales, bias = (np.frombuffer(values, np.float32) for values in form.vectors)
    np.testing.assert_array_equal(scales, np.full(48, 0.5 * 0.25 / 4, np.float32))
    np.testing.assert_array_equal(bias, np.arange(48, dtype=np.float32) / 4)
    inside = X * Input(1, axis=1) + Input(2, axis=1) + Input(3) * 0.5
    assert form.graph.expression == maximum(inside, 0)
    assert [desc.dtype for desc in form.graph.operands] == [FLOAT, FLOAT, DataType.INT8]


def test_what_is_not_proportional_is_scaled_at_the_end() -> None:
    bent = Epilogue((EpilogueStep(tanh(X)),))
    form = quantised_form(*eight_bits(bent, result=Quantization((4.0,))))
    assert form.graph.expression == tanh(X * Input(1, axis=1) + Input(2, axis=1)) * 0.25
    np.testing.assert_array_equal(
        np.frombuffer(form.vectors[0], np.float32), np.full(48, 0.125, np.float32)
    )


def test_results_in_float_need_no_unit() -> None:
    form = quantised_form(*eight_bits())
    assert form.graph.expression == maximum(X * Input(1, axis=1) + Input(2, axis=1), 0)
    assert form.graph.output.dtype is FLOAT


def test_plans_in_eight_bits_run_with_vectors_in_front() -> None:
    layer, request = eight_bits(RESIDUAL_RELU, result=Quantization((4.0,)))
    name = "cuda:cudnn:8bit:eng4"
    assert name in names(layer, request)
    form = quantised_form(layer, request)
    assert layer.getCompilations(request, [Tactic(name)]) == [(form.graph, "eng4")]
    plan = run(layer, request, name)
    operands = plan.calls[0][4]
    assert plan.what == form.graph
    assert len(operands) == 3  # scales, bias, residual


def test_first_layers_take_float32_and_give_halves() -> None:
    layer = Convolution(padding=(1,) * 4)
    source = TensorDesc(FLOAT, (2, 3, 8, 6))
    given = (source, constant(48, 3, 3, 3))
    output = TensorDesc(HALF, (2, 48, 8, 6), LAST)
    assert layer.supportsFormat(Combination(given, (output,), "cuda"))
    assert not layer.supportsFormat(Combination(given, (output,)))
    found = names(layer, TacticRequest(given, (output,), device="cuda"))
    assert found == [f"cuda:shallow:{share}" for share in ("4x2x4", "4x1")]


def matmul(
    left: tuple[int, ...], right: tuple[int, ...], epilogue: Epilogue = Epilogue(),  # noqa: B008
    operands: Sequence[TensorDesc] = (),
) -> tuple[LayerPlugin, TacticRequest]:
    layer = MatMul()
    a, b = TensorDesc(HALF, left), TensorDesc(HALF, right)
    output = TensorDesc(HALF, np.matmul(np.zeros(left), np.zeros(right)).shape)
    return layer, TacticRequest((a, b, *operands), (output,), epilogue, "cuda")


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((5, 7), (7, 3), (5, 3, 7, 1, 0, 0)),
        ((2, 5, 7), (7, 3), (10, 3, 7, 1, 0, 0)),
        ((2, 5, 7), (2, 7, 3), (5, 3, 7, 2, 35, 21)),
        ((2, 4, 5, 7), (1, 1, 7, 3), (5, 3, 7, 8, 35, 0)),
        ((7,), (7, 3), (1, 3, 7, 1, 0, 0)),
        ((5, 7), (7,), (5, 1, 7, 1, 0, 0)),
    ],
)
def test_matrix_products(
    left: tuple[int, ...], right: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    layer, request = matmul(left, right)
    assert names(layer, request) == ["cuda:cublaslt:lt_a", "cuda:cublaslt:lt_b", "cuda:tiles"]
    p = run(layer, request, "cuda:cublaslt:lt_a").what
    assert (p.rows, p.columns, p.depth, p.batch, p.a_batch_stride, p.b_batch_stride) == expected
    assert p.b_is_plain


def test_batches_that_broadcast_unevenly_run_by_our_own_kernel() -> None:
    assert names(*matmul((2, 1, 5, 7), (1, 4, 7, 6))) == ["cuda:tiles"]


def test_products_take_sums_of_a_bias_and_a_residual() -> None:
    row, whole = TensorDesc(HALF, (3,)), TensorDesc(HALF, (2, 5, 3))
    both = Epilogue((EpilogueStep(X + Input(1), 1), EpilogueStep(X + Input(1), 1)))
    layer, request = matmul((2, 5, 7), (7, 3), both, (row, whole))
    plan = run(layer, request, "cuda:cublaslt:lt_a")
    assert (plan.what.bias, plan.what.residual) == (True, True)
    assert plan.calls[0][4:6] == (3 * 4096, 4 * 4096)
    for epilogue, operands in (
        (Epilogue((EpilogueStep(X * Input(1), 1),)), (row,)),
        (Epilogue((EpilogueStep(tanh(X)),)), ()),
        (both, (whole, whole)),
        (Epilogue((EpilogueStep(X + Input(1), 1),)), (replace(row, dtype=FLOAT),)),
    ):  # fmt: skip
        assert names(*matmul((2, 5, 7), (7, 3), epilogue, operands)) == ["cuda:tiles"]


@pytest.mark.parametrize("layout", [Format.LINEAR, LAST])
def test_fully_connected_layers(layout: Format) -> None:
    layer = FullyConnected()
    source = TensorDesc(HALF, (3, 8, 4, 5), layout)
    output = TensorDesc(HALF, (3, 20))
    given = (source, constant(20, 160), constant(20, dtype=FLOAT))
    request = TacticRequest(given, (output,), RELU, "cuda")
    assert layer.supportsFormat(Combination(given, (output,), "cuda"))
    plan = run(layer, request, "cuda:cublaslt:lt_b")
    assert (plan.what.rows, plan.what.columns, plan.what.depth) == (3, 20, 160)
    assert (plan.what.bias, plan.what.activation) == (True, "relu")
    assert not plan.what.b_is_plain
    weights_are_packed = plan.calls[0][2] != 2 * 4096
    assert weights_are_packed == (layout is LAST)


def test_on_the_cpu_nothing_changes() -> None:
    layer, request = convolution(dtype=FLOAT)
    assert not any("cuda" in name for name in names(layer, replace(request, device="cpu")))
