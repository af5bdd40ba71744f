"""Convolutions in 8 bits on a GPU: every plan against NumPy, and a network with scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, Network
from plugrt.builtin_layers.convolution import Convolution, cudnn_quantised
from plugrt.builtin_layers.convolution.reference import convolve
from plugrt.builtin_layers.sliding_window import SlidingWindow
from plugrt.core.devices.cuda.standalone import run_on_gpu
from plugrt.plugins import (
    DataType,
    Epilogue,
    EpilogueStep,
    Format,
    Input,
    Quantization,
    TacticRequest,
    TensorDesc,
)
from plugrt.plugins.expression import maximum

pytestmark = pytest.mark.cuda

LAST = Format.CHANNELS_LAST
INT8, FLOAT8, FLOAT = DataType.INT8, DataType.FLOAT8_E4M3FN, DataType.FLOAT32
X = Input(0)
RELU = Epilogue((EpilogueStep(maximum(X, 0)),))
RESIDUAL = Epilogue((EpilogueStep(X + Input(1), 1), EpilogueStep(maximum(X, 0))))
WINDOW = SlidingWindow.of("Convolution", (3, 3), (1, 1), (1, 1), (1, 1, 1, 1))
MOST_PLANS = 4


def real(stored: Any, desc: TensorDesc) -> Any:
    """The numbers that a tensor stands for."""
    kind = desc.quantization
    if kind is None:
        return np.asarray(stored, np.float64)
    scale = np.asarray(kind.scale).reshape([-1] + [1] * (np.ndim(stored) - 1))
    return np.asarray(stored, np.float64) * scale


def draw(desc: TensorDesc, seed: int) -> Any:
    whole = np.random.default_rng(seed).integers(-20, 21, desc.sizes)
    return whole.astype(desc.dtype.numpy) if desc.dtype is INT8 else (
        (whole / 16).astype(np.float32).astype(desc.dtype.numpy)
    )  # fmt: skip


@pytest.mark.parametrize("epilogue", [RELU, RESIDUAL], ids=["relu", "residual"])
@pytest.mark.parametrize(
    ("kind", "result"), [(INT8, INT8), (INT8, FLOAT), (FLOAT8, FLOAT8), (FLOAT8, FLOAT)]
)
def test_every_plan_computes_what_numpy_does(
    kind: DataType, result: DataType, epilogue: Epilogue
) -> None:
    source = TensorDesc(kind, (2, 32, 9, 7), LAST, quantization=Quantization((0.03,)))
    weights = TensorDesc(
        kind, (48, 32, 3, 3),
        quantization=Quantization.of(np.linspace(0.01, 0.05, 48), axis=0),
    )  # fmt: skip
    bias = TensorDesc(FLOAT, (48,))
    scale = Quantization((0.5 if result is INT8 else 0.02,)) if result is not FLOAT else None
    output = TensorDesc(result, (2, 48, 9, 7), LAST, quantization=scale)
    operands = [TensorDesc(kind, output.sizes, LAST, quantization=Quantization((0.1,)))]
    inputs = [source, weights, bias, *operands[: epilogue.operands]]
    arrays = [draw(desc, seed) for seed, desc in enumerate(inputs)]
    total = convolve(real(arrays[0], source), real(arrays[1], weights), arrays[2], WINDOW, 1)
    if epilogue is RESIDUAL:
        total = total + real(arrays[3], operands[0])
    wanted = np.maximum(total, 0)
    layer = Convolution(padding=(1,) * 4)
    given = [TensorDesc(d.dtype, d.shape, d.format, quantization=d.quantization, value=a)
             if k in (1, 2) else d for k, (d, a) in enumerate(zip(inputs, arrays, strict=True))]
    request = TacticRequest(tuple(given), (output,), epilogue, "cuda")
    names = [
        tactic.name for tactic in layer.getTactics(request)
        if tactic.name.startswith(cudnn_quantised.PREFIX)
    ]
    if kind is FLOAT8 and not names:
        pytest.skip("this GPU multiplies no 8-bit floats")
    assert names
    for name in names[:MOST_PLANS]:
        (stored,) = run_on_gpu(
            Convolution(padding=(1,) * 4), arrays, inputs=inputs, outputs=[output],
            constants=[1, 2], tactic=name, epilogue=epilogue,
        )  # fmt: skip
        if result is INT8:
            exact = np.clip(np.rint(wanted / 0.5), -128, 127)
            assert np.abs(stored.astype(int) - exact).max() <= 1, name
            assert np.mean(stored != exact) < 0.01, name  # sums that fall between two
        elif result is FLOAT8:
            found = real(stored.astype(np.float32), output)
            limited = np.minimum(wanted, 448 * 0.02)
            np.testing.assert_allclose(found, limited, rtol=2**-4, atol=0.02 * 2**-9, err_msg=name)
        else:
            np.testing.assert_allclose(stored, wanted, rtol=1e-5, atol=1e-4, err_msg=name)


def network(scales: bool) -> Network:
    """A convolution of an image, and two blocks with a way around."""
    random = np.random.default_rng(0)
    made = Network("blocks")
    x = made.add_input("x", "float32", [4, 3, 32, 32])

    def convolution(x: Any, outputs: int, size: int) -> Any:
        fan_in = x.shape[1] * size * size
        values = random.standard_normal((outputs, x.shape[1], size, size), np.float32)
        bias = random.standard_normal(outputs, np.float32) * np.float32(0.1)
        return made.add_convolution(
            x, values * np.float32((1.5 / fan_in) ** 0.5), bias, padding=(size // 2,) * 4
        ).output

    x = made.add_relu(convolution(x, 32, 3)).output
    kept = [x]
    for _ in range(2):
        y = made.add_relu(convolution(x, 32, 3)).output
        x = made.add_relu(made.add_add(convolution(y, 32, 1), x).output).output
        kept += [y, x]
    made.mark_output(x, "y")
    if scales:
        for tensor in kept:
            tensor.set_quantization(5 / 127)
    return made


@pytest.mark.parametrize("tune", ["off", "fast"])
def test_a_network_with_scales_runs_in_eight_bits(tune: str) -> None:
    image = np.random.default_rng(1).random((4, 3, 32, 32), np.float32)
    with (
        plugrt.build(network(False), BuilderConfig(tune="off", threads=1)) as engine,
        engine.create_context() as context,
    ):
        wanted = context.execute({"x": image})["y"]
    config = BuilderConfig(device="cuda", precision="best", tune=tune, threads=1)
    with plugrt.build(network(True), config) as engine, engine.create_context() as context:
        found = context.execute({"x": image})["y"]
        low = [
            layer.name for layer in engine.planned.network.layers
            if layer.plugin.tactic.name.startswith(cudnn_quantised.PREFIX)
        ]
        converted = [
            layer.name for layer in engine.planned.network.layers
            if layer.plugin.role == "cast" and layer.inputs[0].dtype is INT8  # type: ignore[union-attr]
        ]
    assert len(low) == 4
    assert len(converted) == 1  # the output; ways around stay in 8 bits
    assert np.linalg.norm(found - wanted) < 0.05 * np.linalg.norm(wanted)
