"""How expressions, tensors and names are put to cuDNN and cuBLASLt; needs neither."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugrt import Registry
from plugrt.plugins import DataType, DeviceError, Expression, Format, Input, ShapeError, TensorDesc
from plugrt.plugins.expression import evaluate, maximum, rename, where
from plugrt.plugins.expression.nodes import Constant
from plugrt.plugins.native.cuda.cublaslt.algorithms import identity_of
from plugrt.plugins.native.cuda.cudnn import biased, pointwise_forms
from plugrt.plugins.native.cuda.cudnn.plans import _parsed
from plugrt.plugins.native.cuda.cudnn.pointwise_forms import PointwiseStep, pointwise_steps
from plugrt.plugins.native.cuda.cudnn.tensors import TensorSpec

RANDOM = np.random.default_rng(2)


def erf(x: Any) -> Any:
    from math import erf as exact

    return np.vectorize(exact)(x)


def activation(step: PointwiseStep, x: Any) -> Any:
    """What cuDNN's documentation says of an activation's mode."""
    p = step.parameters
    if step.mode == pointwise_forms.RELU:
        low = np.where(x > 0, x, p.get("relu_slope", 0.0) * x)
        return np.minimum(low, p.get("relu_upper_clip", np.inf))
    if step.mode == pointwise_forms.ELU:
        return np.where(x > 0, x, p["elu_alpha"] * np.expm1(x))
    if step.mode == pointwise_forms.GELU:
        return 0.5 * x * (1 + erf(x / np.sqrt(2)))
    if step.mode == pointwise_forms.GELU_TANH:
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    if step.mode == pointwise_forms.SOFTPLUS:
        return np.log1p(np.exp(p["softplus_beta"] * x)) / p["softplus_beta"]
    if step.mode == pointwise_forms.SWISH:
        return x / (1 + np.exp(-p["swish_beta"] * x))
    assert step.mode == pointwise_forms.IDENTITY
    return x


def computed(steps: list[PointwiseStep], values: list[Any]) -> Any:
    """The result of the last step, by NumPy."""
    from plugrt.plugins.expression.nodes import OPERATORS

    plain = {mode: OPERATORS[name][1] for name, mode in pointwise_forms.PLAIN_MODES.items()}
    results: list[Any] = []

    def value(operand: Any) -> Any:
        if isinstance(operand, int):
            return results[operand]
        return operand.value if isinstance(operand, Constant) else values[operand.index]

    for step in steps:
        given = [value(operand) for operand in step.operands]
        if step.mode in plain:
            results.append(plain[step.mode](*given))
        else:
            results.append(activation(step, *given))
    return results[-1]


def activations() -> list[Any]:
    registry = Registry.default()
    names = ["ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Mish", "Swish", "Elu", "Selu", "Gelu",
             "HardSwish", "HardSigmoid", "Softplus"]  # fmt: skip
    layers = [registry.get("layers", name)() for name in names]
    layers.append(registry.get("layers", "Clip")(minimum=0.0, maximum=6.0))
    layers.append(registry.get("layers", "Clip")(minimum=-1.0, maximum=1.0))
    layers.append(registry.get("layers", "Gelu")(approximate=True))
    layers.append(registry.get("layers", "LeakyReLU")(slope=1.5))
    layers.append(registry.get("layers", "Swish")(beta=1.7))
    layers.append(registry.get("layers", "Elu")(alpha=0.7))
    return layers


@pytest.mark.parametrize("layer", activations(), ids=str)
def test_activations_mean_the_same(layer: Any) -> None:
    x, y = RANDOM.standard_normal((2, 200)) * 4
    expression = rename(layer.pointwise(), {Input(0): Input(0) + Input(1)})
    found = computed(pointwise_steps(expression), [x, y])
    np.testing.assert_allclose(found, evaluate(expression, [x, y], rank=1), rtol=1e-6, atol=1e-7)


def test_common_activations_are_one_operation() -> None:
    for layer in activations():
        steps = pointwise_steps(layer.pointwise())
        if layer.type in ("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "Swish", "Elu", "Gelu"):
            assert len(steps) == 1, layer


def test_what_cudnn_lacks_is_named() -> None:
    with pytest.raises(DeviceError, match="no pointwise operation 'select'"):
        pointwise_steps(where(Input(0) > Input(1), Input(1), 3.0))


def test_a_plain_expression_is_an_identity() -> None:
    (step,) = pointwise_steps(Input(0))
    assert step.mode == pointwise_forms.IDENTITY


@pytest.mark.parametrize("residual_first", [False, True])
def test_bias_stands_where_asked_and_means_the_same(residual_first: bool) -> None:
    body: Expression = maximum(Input(0) + Input(1), 0)
    expression = biased(body, Input(2, axis=1), residual_first)
    first = pointwise_steps(expression)[0]
    assert set(first.operands) == {Input(0), Input(1) if residual_first else Input(2, axis=1)}
    values = [RANDOM.standard_normal((2, 3, 4)), RANDOM.standard_normal((2, 3, 4)),
              RANDOM.standard_normal(3)]  # fmt: skip
    wanted = np.maximum(values[0] + values[1] + values[2][:, None], 0)
    np.testing.assert_allclose(evaluate(expression, values, rank=3), wanted)


def test_without_a_residual_the_order_does_not_matter() -> None:
    body = maximum(Input(0), 0)
    assert biased(body, Input(1, 1), True) == biased(body, Input(1, 1), False)


def test_tensors_are_described_in_logical_order() -> None:
    layout = Format.CHANNELS_LAST
    spec = TensorSpec.of(TensorDesc(DataType.FLOAT16, (2, 8, 5, 7), layout))
    assert (spec.dims, spec.strides) == ((2, 8, 5, 7), (280, 1, 56, 8))
    line = TensorSpec.of(TensorDesc(DataType.FLOAT16, (2, 8, 7), layout))
    assert (line.dims, line.strides) == ((2, 8, 1, 7), (56, 1, 56, 8))
    with pytest.raises(ShapeError, match="rank 3 to 5"):
        TensorSpec.of(TensorDesc(DataType.FLOAT16, (2, 8)))
    with pytest.raises(DeviceError, match="no element type int16"):
        TensorSpec.of(TensorDesc(DataType.INT16, (2, 8, 5, 7)))


def test_operands_are_vectors_or_broadcast() -> None:
    vector = TensorSpec.operand(TensorDesc(DataType.FLOAT32, (8,)), 1, 4)
    assert (vector.dims, vector.strides) == ((1, 8, 1, 1), (8, 1, 8, 8))
    row = TensorSpec.operand(TensorDesc(DataType.FLOAT32, (8, 1, 7)), None, 4)
    assert (row.dims, row.strides) == ((1, 8, 1, 7), (56, 7, 7, 1))
    with pytest.raises(ShapeError, match="more than 4 dimensions"):
        TensorSpec.operand(TensorDesc(DataType.FLOAT32, (1,) * 5), None, 4)


def test_names_of_plans_and_algorithms() -> None:
    assert _parsed("eng4") == (4, [])
    assert _parsed("eng41_k2=17_k27=-1") == (41, [(2, 17), (27, -1)])
    assert identity_of("lt_a66_t18_k1_r0_w0_o0_s5_i0_c2") == 66
    for wrong in ("eng", "eng4_k", "lt_a66"):
        with pytest.raises(DeviceError, match="names look like"):
            _parsed(wrong)
        with pytest.raises(DeviceError, match="names look like"):
            identity_of(wrong)
