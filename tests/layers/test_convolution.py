"""Convolution in every format, type and tactic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt.builtin_layers.convolution import Convolution
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import (
    Combination,
    DataType,
    Epilogue,
    EpilogueStep,
    Expression,
    Format,
    Input,
    Quantization,
    ShapeError,
    TacticRequest,
    TensorDesc,
    TensorView,
    symbol,
)
from plugrt.plugins.expression import exp, log, logistic, maximum, tanh
from plugrt.plugins.native import onednn

LAST, BLOCKED, LINEAR = Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16, Format.LINEAR
F32 = DataType.FLOAT32
Check = Callable[..., list[str]]


@dataclass(frozen=True)
class Case:
    source: tuple[int, ...]
    weights: tuple[int, ...]
    attributes: tuple[tuple[str, Any], ...] = ()

    @property
    def layer(self) -> Convolution:
        return Convolution(**dict(self.attributes))

    def arrays(self, rng: Any, bias: bool = True) -> list[Any]:
        shapes = [self.source, self.weights, *([self.weights[:1]] if bias else [])]
        return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def case(source: tuple[int, ...], weights: tuple[int, ...], **attributes: Any) -> Case:
    return Case(source, weights, tuple(attributes.items()))


PADDED = (1, 1, 1, 1)
CASES = {
    "first": case((1, 3, 15, 17), (16, 3, 3, 3), strides=(2, 2), padding=PADDED),
    "3x3": case((2, 32, 9, 11), (48, 32, 3, 3), padding=PADDED),
    "odd channels": case((1, 5, 7, 6), (7, 5, 3, 3), padding=PADDED),
    "1x1": case((2, 16, 7, 5), (32, 16, 1, 1)),
    "1x1 odd": case((1, 24, 6, 5), (9, 24, 1, 1)),
    "1x1 strided": case((1, 16, 7, 5), (16, 16, 1, 1), strides=(2, 2)),
    "asymmetric": case((1, 16, 8, 8), (16, 16, 3, 2), strides=(2, 1), padding=(0, 1, 2, 0)),
    "dilated": case((1, 16, 12, 13), (16, 16, 3, 3), dilations=(2, 3), padding=(2, 3, 2, 3)),
    "grouped": case((2, 32, 6, 7), (64, 16, 3, 3), groups=2, padding=PADDED),
    "grouped odd": case((1, 6, 6, 7), (9, 2, 3, 3), groups=3, padding=PADDED),
    "depthwise": case((2, 48, 9, 10), (48, 1, 3, 3), groups=48, padding=PADDED),
    "depthwise strided": case(
        (1, 24, 9, 10), (24, 1, 5, 5), groups=24, strides=(2, 2), padding=(2, 2, 2, 2)
    ),
    "depthwise twice": case((1, 8, 9, 10), (16, 1, 3, 3), groups=8),
    "large": case((1, 4, 12, 12), (20, 4, 7, 7), strides=(2, 2), padding=(3, 3, 3, 3)),
    "one dimension": case((2, 16, 30), (32, 16, 5), padding=(2, 2), strides=(2,)),
    "three dimensions": case((1, 16, 5, 6, 7), (16, 16, 3, 3, 3), padding=(1, 1, 1, 1, 1, 1)),
}


def by_loops(arrays: list[Any], layer: Convolution) -> Any:
    """Convolution straight from its definition, output point by output point."""
    source, weights, *bias = arrays
    window = layer.window(weights.shape)
    sizes = window.output_sizes("test", source.shape[2:])
    result = np.zeros((source.shape[0], weights.shape[0], *sizes))
    per_out, per_in = weights.shape[0] // layer.groups, weights.shape[1]
    for point in np.ndindex(*sizes):
        for position in np.ndindex(*weights.shape[2:]):
            at = tuple(
                p * s - b + k * d
                for p, s, b, k, d in zip(
                    point, window.strides, window.before, position, window.dilations, strict=True
                )
            )
            if any(not 0 <= a < size for a, size in zip(at, source.shape[2:], strict=True)):
                continue
            for m in range(weights.shape[0]):
                first = m // per_out * per_in
                seen = source[(slice(None), slice(first, first + per_in), *at)].astype(np.float64)
                result[(slice(None), m, *point)] += seen @ weights[(m, slice(None), *position)]
    if bias:
        result += bias[0].reshape(-1, *[1] * len(sizes))
    return result


@pytest.mark.parametrize("name", ["odd channels", "asymmetric", "dilated", "grouped odd",
                                  "one dimension", "depthwise twice"])
def test_reference(name: str, rng: Any) -> None:
    arrays = CASES[name].arrays(rng)
    layer = CASES[name].layer
    got = layer.reference(arrays)[0]
    assert got.shape == layer.getOutputDimensions(0, [TensorDesc(F32, a.shape) for a in arrays])
    np.testing.assert_allclose(got, by_loops(arrays, layer), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layout", list(Format))
@pytest.mark.parametrize("name", CASES)
def test_every_tactic(
    every_tactic: Check, rng: Any, name: str, layout: Format, bias: bool
) -> None:
    arrays = CASES[name].arrays(rng, bias)
    outputs = CASES[name].weights[0]
    if layout is BLOCKED and (arrays[0].shape[1] % 16 or outputs % 16):
        return
    names = every_tactic(CASES[name].layer, arrays, layout=layout, constants=range(1, len(arrays)))
    assert names or layout is BLOCKED
    assert "numpy" not in names


@pytest.mark.parametrize("after", [LAST, BLOCKED])
def test_linear_images_to_another_format(every_tactic: Check, rng: Any, after: Format) -> None:
    arrays = CASES["first"].arrays(rng)
    assert every_tactic(
        CASES["first"].layer, arrays, layout=LINEAR, output_layout=after, constants=(1, 2)
    )


def without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "available", lambda: False)


@pytest.mark.parametrize("layout", [LINEAR, LAST])
@pytest.mark.parametrize("name", CASES)
def test_own_kernels_serve_where_onednn_is_absent(
    every_tactic: Check, rng: Any, name: str, layout: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_onednn(monkeypatch)
    arrays = CASES[name].arrays(rng)
    epilogue = Epilogue((EpilogueStep(maximum(Input(0), Input(0) * 0.1)),))
    found = every_tactic(
        CASES[name].layer, arrays, layout=layout, constants=(1, 2), epilogue=epilogue
    )
    special = {
        "depthwise": "depthwise", "depthwise strided": "depthwise",
        "1x1": "product", "1x1 odd": "product",
    }  # fmt: skip
    direct = [tactic for tactic in found if not tactic.startswith("winograd:")]
    assert direct == [special.get(name, "direct") if layout is LAST else "direct"]


def test_weights_from_the_network_and_other_types(every_tactic: Check, rng: Any) -> None:
    arrays = CASES["3x3"].arrays(rng)
    assert every_tactic(CASES["3x3"].layer, arrays)
    arrays = [array.astype(np.float64) for array in CASES["odd channels"].arrays(rng)]
    assert every_tactic(CASES["odd channels"].layer, arrays, constants=(1, 2)) == ["numpy"]


X = Input(0)
STEPS: dict[str, tuple[Expression, int]] = {
    "relu": (maximum(X, 0), 0),
    "leaky": (maximum(X, X * 0.1), 0),
    "mish": (X * tanh(log(exp(X) + 1)), 0),
    "swish": (X * logistic(X), 0),
    "clip": (maximum(X, 0) * 0.5 + 1, 0),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("layout", [LAST, BLOCKED])
@pytest.mark.parametrize("name", ["3x3", "1x1", "depthwise"])
def test_activations_fuse(
    every_tactic: Check, rng: Any, name: str, layout: Format, step: str
) -> None:
    epilogue = Epilogue((EpilogueStep(*STEPS[step]),))
    arrays = CASES[name].arrays(rng)
    assert every_tactic(
        CASES[name].layer, arrays, layout=layout, constants=(1, 2), epilogue=epilogue
    )


@pytest.mark.parametrize("layout", [LAST, BLOCKED])
@pytest.mark.parametrize("name", ["3x3", "1x1", "depthwise"])
def test_residual_sum_with_and_without_the_operands_buffer(
    every_tactic: Check, rng: Any, name: str, layout: Format
) -> None:
    arrays = CASES[name].arrays(rng)
    (shape,) = [CASES[name].layer.reference(arrays)[0].shape]
    residual = rng.standard_normal(shape).astype(np.float32)
    factors = rng.standard_normal(shape[1:2]).astype(np.float32)
    leaky = EpilogueStep(maximum(X, X * 0.1))
    for first, second in (
        (EpilogueStep(X + Input(1), 1), leaky),
        (leaky, EpilogueStep(X + Input(1), 1)),
    ):
        names = every_tactic(
            CASES[name].layer, [*arrays, residual], layout=layout, constants=(1, 2),
            epilogue=Epilogue((first, second)),
        )  # fmt: skip
        if layout is LAST or second is leaky:  # else beyond oneDNN's blocked kernels
            assert any(n.endswith("+sum3") for n in names)
        assert any("sum" not in n for n in names)
        scale = EpilogueStep(X * Input(1, axis=1), 1)
        names = every_tactic(
            CASES[name].layer, [*arrays, factors, residual], layout=layout,
            constants=(1, 2, 3), epilogue=Epilogue((scale, first, second)),
        )  # fmt: skip
        assert any("sum" not in n for n in names)


def test_what_no_post_op_computes_is_not_fused(rng: Any) -> None:
    arrays = CASES["3x3"].arrays(rng)
    epilogue = Epilogue((EpilogueStep(X * X - exp(X)),))
    inputs = tuple(TensorDesc(F32, a.shape, value=a) for a in arrays)
    (output,) = output_descs(CASES["3x3"].layer, inputs)
    assert not CASES["3x3"].layer.getTactics(TacticRequest(inputs, (output,), epilogue))


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_writing_into_a_slice(rng: Any, batch: int, kernel: int) -> None:
    channels = 16 if kernel == 1 else 3
    arrays = case((batch, channels, 5, 6), (32, channels, kernel, kernel)).arrays(rng)
    layer = Convolution(padding=(kernel // 2,) * 4)
    inputs = [replace(TensorDesc(F32, a.shape), value=a) for a in arrays]
    inputs[0] = TensorDesc(F32, arrays[0].shape, LAST)
    whole = TensorView(TensorDesc(F32, (batch, 80, 5, 6), LAST), 0)
    part = whole.slice(1, 16, 32).desc
    dense = replace(part, strides=None)
    tactics = layer.getTactics(TacticRequest(tuple(inputs), (dense,), thread_count=2))
    taking = [tactic for tactic in tactics if 0 in tactic.strided_outputs]
    assert taking
    for tactic in taking:
        (got,) = run_strided(layer, arrays, inputs, part, tactic)
        np.testing.assert_allclose(got, layer.reference(arrays)[0], rtol=1e-4, atol=1e-4)


def run_strided(layer: Any, arrays: Any, inputs: Any, output: TensorDesc, tactic: Any) -> Any:
    """Run with an output that has gaps; gaps must stay as they are."""
    from plugrt.core.runtime.standalone import prepare_layer

    prepared = prepare_layer(
        layer, arrays, inputs=inputs, outputs=[output], constants=(1, 2), tactic=tactic
    )
    ((memory, _),) = prepared.outputs
    flat = memory[: output.nbytes].view(output.dtype.numpy)
    flat[...] = 77
    prepared.recording.replay()
    steps = [s * output.dtype.itemsize for s in output.element_strides]
    view = np.ndarray(output.sizes, output.dtype.numpy, flat.data, 0, steps)
    got = view.copy()
    view[...] = 77
    assert (flat == 77).all()
    return [got]


@pytest.mark.parametrize("output", [DataType.INT8, DataType.UINT8, F32])
@pytest.mark.parametrize("source", [DataType.INT8, DataType.UINT8])
@pytest.mark.parametrize("name", ["3x3", "1x1", "first", "depthwise", "grouped"])
def test_quantised(rng: Any, name: str, source: DataType, output: DataType) -> None:
    layer = CASES[name].layer
    real, weights, bias = CASES[name].arrays(rng)
    before = Quantization((0.03,), (5 if source is DataType.INT8 else 130,))
    limits = np.iinfo(source.numpy)
    stored = np.clip(np.rint(real / 0.03) + before.zero_point[0], limits.min, limits.max)
    kind = layer.inputQuantization(1, [TensorDesc(F32, w.shape, value=w) for w in (real, weights)])
    scales = np.array(kind.scale).reshape(-1, *[1] * (weights.ndim - 1))
    small = np.clip(np.rint(weights / scales), -128, 127).astype(np.int8)
    assert np.abs(small).max() == 127
    arrays = [stored.astype(source.numpy), small, bias]
    inputs = [
        TensorDesc(source, real.shape, LAST, quantization=before),
        TensorDesc(DataType.INT8, small.shape, quantization=kind),
        TensorDesc(F32, bias.shape),
    ]
    (shape,) = [layer.reference([real, weights, bias])[0].shape]
    after = None if output is F32 else Quantization((0.11,), (7,))
    wanted = TensorDesc(output, shape, LAST, quantization=after)
    expected = layer.reference(
        [(stored - before.zero_point[0]) * 0.03, small * scales, bias.astype(np.float64)]
    )[0]
    expected = np.maximum(expected, 0.1 * expected)
    epilogue = Epilogue((EpilogueStep(STEPS["leaky"][0]),))
    described = tuple(
        replace(d, value=None if k == 0 else arrays[k]) for k, d in enumerate(inputs)
    )
    assert layer.supportsFormat(Combination(described, (wanted,)))
    tactics = layer.getTactics(TacticRequest(described, (wanted,), epilogue, thread_count=2))
    assert tactics
    for tactic in tactics:
        (got,) = run_layer(
            layer.clone(), arrays, inputs=inputs, outputs=[wanted], constants=(1, 2),
            epilogue=epilogue, tactic=tactic,
        )  # fmt: skip
        if after is None:
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
            continue
        limits = np.iinfo(output.numpy)
        target = np.clip(np.rint(expected / 0.11) + 7, limits.min, limits.max)
        difference = np.abs(got.astype(np.int64) - target)
        assert difference.max() <= 1, tactic.name  # an edge between two integers falls either way
        assert (difference > 0).mean() < 0.02


def test_symbolic_sizes() -> None:
    batch, height = symbol("batch"), symbol("height")
    source = TensorDesc(F32, (batch, 16, height, 20))
    weights = TensorDesc(F32, (32, 16, 3, 3))
    layer = Convolution(strides=(2, 2), padding=PADDED)
    assert layer.getOutputDimensions(0, [source, weights]) == (
        batch, 32, (height - 1) // 2 + 1, 10,
    )  # fmt: skip


@settings(max_examples=60)
@given(
    batch=st.integers(1, 3), size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    groups=st.integers(1, 3), per_in=st.integers(1, 5), per_out=st.integers(1, 5),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilations=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(*[st.integers(0, 4)] * 4), layout=st.sampled_from([LINEAR, LAST]),
)  # fmt: skip
def test_random_cases(
    every_tactic: Check, batch: int, size: tuple[int, int], groups: int, per_in: int,
    per_out: int, kernel: tuple[int, int], strides: tuple[int, int],
    dilations: tuple[int, int], padding: tuple[int, ...], layout: Format,
) -> None:  # fmt: skip
    rng = np.random.default_rng(7)
    layer = Convolution(strides=strides, dilations=dilations, padding=padding, groups=groups)
    source = rng.standard_normal((batch, groups * per_in, *size)).astype(np.float32)
    weights = rng.standard_normal((groups * per_out, per_in, *kernel)).astype(np.float32)
    try:
        shape = layer.getOutputDimensions(
            0, [TensorDesc(F32, source.shape), TensorDesc(F32, weights.shape)]
        )
    except ShapeError:
        extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        assert any(size[i] + padding[i] + padding[2 + i] < extent[i] for i in range(2))
        return
    assert layer.reference([source, weights])[0].shape == shape
    assert every_tactic(layer, [source, weights], layout=layout, constants=(1,))


@pytest.mark.parametrize(
    ("source", "weights", "bias", "attributes", "words"),
    [
        ((1, 3, 8, 8), (4, 4, 3, 3), None, {}, "take 4 channels"),
        ((1, 4, 8, 8), (5, 2, 3, 3), None, {"groups": 2}, "do not divide"),
        ((1, 4, 8, 8), (4, 4, 3), None, {}, "same rank"),
        ((1, 4, 8, 8), (4, 4, 3, 3), (3,), {}, "one value for each"),
        ((1, 4, 2, 2), (4, 4, 3, 3), None, {}, "does not fit"),
        ((1, 4, 8, 8), (4, 4, 3, 3), None, {"strides": (1,)}, "strides"),
    ],
)
def test_what_does_not_fit_is_refused(
    source: Any, weights: Any, bias: Any, attributes: dict[str, Any], words: str
) -> None:
    shapes = [source, weights, *([] if bias is None else [bias])]
    with pytest.raises(ShapeError, match=words):
        Convolution(**attributes).getOutputDimensions(
            0, [TensorDesc(F32, shape) for shape in shapes]
        )
