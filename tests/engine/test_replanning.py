"""Plans whose formats, types or kernels this machine does not have; and tuning a plan again."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, DataType, Engine, Format, Network, PlanError, Registry
from plugrt.builtin_layers import kernels
from plugrt.core.devices.cpu import CpuDevice
from plugrt.core.tuning.timer import Timer
from plugrt.plugins import Array, Combination, LayerPlugin, Shape, TensorDesc

PRECISIONS = ("fp32", "bf16", "int8", "best")

TOLERANCES = {"fp32": 1e-5, "bf16": 2e-2, "int8": 0.1, "best": 0.1}

Preference = Callable[[TensorDesc], bool]


def small(precision: str) -> tuple[Network, Array, Array]:
    """Convolutions of several kinds, a residual sum, a concatenation; (network, input, output)."""
    rng = np.random.default_rng(2)
    net = Network(precision)

    def convolution(x: Any, filters: int, size: int, name: str, groups: int = 1) -> Any:
        weights = rng.standard_normal((filters, x.shape[1] // groups, size, size))
        scale = np.sqrt(weights[0].size)
        return net.add_convolution(
            x, (weights / scale).astype(np.float32), rng.standard_normal(filters, np.float32),
            padding=(size // 2,) * 4, groups=groups, name=name,
        ).output  # fmt: skip

    x = net.add_input("x", "float32", ["N", 16, 12, 12])
    y = net.add_relu(convolution(x, 32, 3, "first")).output
    y = net.add_relu(net.add_add(convolution(y, 32, 3, "second"), y).output).output
    y = net.add_leaky_relu(convolution(y, 32, 3, "depthwise", 32), slope=0.1).output
    y = net.add_max_pooling(y, kernel=(2, 2), strides=(2, 2)).output
    y = net.add_concatenation(y, convolution(y, 16, 1, "third"), axis=1).output
    net.mark_output(net.add_mish(convolution(y, 16, 1, "last")).output, "y")
    if precision in ("int8", "best"):
        for tensor in net.tensors.values():
            if not tensor.is_constant:
                tensor.set_quantization(0.1)
    image = rng.standard_normal((2, 16, 12, 12)).astype(np.float32)
    return net, image, np.asarray(net.reference([image])[0])


def plan_of(net: Network, precision: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Built as if blocked formats and narrow types were the fastest."""

    def measure(self: Timer, layer: Any, candidate: Any, key: str, *effort: Any) -> float:
        seconds = 1e-3
        for desc in candidate.outputs:
            seconds /= 4 if desc.format is Format.CHANNELS_BLOCKED_16 else 1
            seconds /= 4 if desc.dtype.itemsize < 4 else 1
        return self.remember(key, seconds)

    with monkeypatch.context() as patched:
        patched.setattr(Timer, "_measure", measure)
        config = BuilderConfig(precision=precision, threads=2, max_batch_size=2)
        with plugrt.build(net, config) as engine:
            return engine.to_bytes()


def assert_near(found: Array, wanted: Array, precision: str) -> None:
    assert found.dtype == wanted.dtype
    scale = float(np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCES[precision] * scale)


def stored(engine: Engine) -> set[tuple[DataType, Format]]:
    return {(t.dtype, t.format) for x in engine.planned.network.layers for t in x.outputs}


LOADING = """
import sys, warnings
import numpy as np
import plugrt
from plugrt.core.devices.cpu import CpuDevice

for precision in sys.argv[2:]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engine = plugrt.Runtime().load(f"{sys.argv[1]}/{precision}.plan")
    print(precision, *(str(warning.message) for warning in caught))
    with engine, engine.create_context() as context:
        image = np.load(f"{sys.argv[1]}/{precision}.input.npy")
        np.save(f"{sys.argv[1]}/{precision}.output.npy", context.execute({"x": image})["y"])
"""


def test_plans_run_where_onednn_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {}
    for precision in PRECISIONS:
        net, image, wanted[precision] = small(precision)
        plan = plan_of(net, precision, monkeypatch)
        (tmp_path / f"{precision}.plan").write_bytes(plan)
        np.save(tmp_path / f"{precision}.input.npy", image)
        with Engine.from_bytes(plan) as engine:
            assert any(layout is not Format.LINEAR for _, layout in stored(engine))
    done = subprocess.run(
        [sys.executable, "-c", LOADING, str(tmp_path), *PRECISIONS],
        env={**os.environ, "PLUGRT_ONEDNN": "/nonexistent/libdnnl.so"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for precision, told in zip(PRECISIONS, done.stdout.splitlines(), strict=True):
        assert "not possible on this machine (layer '" in told
        assert "plugrt.retune" in told
        assert_near(np.load(tmp_path / f"{precision}.output.npy"), wanted[precision], precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("instruction_set", ["portable", "avx2"])
def test_plans_run_with_older_instructions(
    monkeypatch: pytest.MonkeyPatch, precision: str, instruction_set: str
) -> None:
    net, image, wanted = small(precision)
    plan = plan_of(net, precision, monkeypatch)
    with kernels.at_most(instruction_set), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with Engine.from_bytes(plan) as engine, engine.create_context() as context:
            assert_near(context.execute({"x": image})["y"], wanted, precision)


def test_a_plan_of_another_machine_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    net, image, wanted = small("fp32")
    plan = plan_of(net, "fp32", monkeypatch)
    monkeypatch.setattr(CpuDevice, "fingerprint", lambda self: {})
    with pytest.warns(RuntimeWarning, match="tuned on another machine"):
        engine = Engine.from_bytes(plan)
    with engine, engine.create_context() as context:
        assert_near(context.execute({"x": image})["y"], wanted, "fp32")


# ---- tuning again -------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
def test_retuned_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    net, image, wanted = small(precision)
    plan = tmp_path / "given.plan"
    plan.write_bytes(plan_of(net, precision, monkeypatch))
    with plugrt.retune(plan) as engine, engine.create_context() as context:
        assert_near(context.execute({"x": image})["y"], wanted, precision)
        assert engine.explanation.tuning["measured"]
        assert engine.info.precision == precision
        assert engine.info.profiles == {"N": (1, 2, 2)}
        engine.save(tmp_path / "tuned.plan")
        found = context.execute({"x": image})["y"]
    with Engine.load(tmp_path / "tuned.plan") as engine, engine.create_context() as context:
        np.testing.assert_array_equal(context.execute({"x": image})["y"], found)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_plan_can_be_retuned_to_float32(
    monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    net, image, wanted = small(precision)
    config = BuilderConfig(precision="fp32", threads=1, tune="off")
    plan = plan_of(net, precision, monkeypatch)
    with plugrt.retune(plan, config) as engine, engine.create_context() as context:
        assert {dtype for dtype, _ in stored(engine)} == {DataType.FLOAT32}
        assert context.threads == 1
        assert_near(context.execute({"x": image})["y"], wanted, precision)


def test_bodies_are_decided_anew_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    net = Network("outer")
    x = net.add_input("x", "float32", [1, 16, 6, 6])
    flag = net.add_input("flag", "bool", [])
    bodies = {}
    for name in ("then_body", "else_body"):
        body = Network(name, net.registry)
        given = body.add_input("x", "float32", [1, 16, 6, 6])
        weights = rng.standard_normal((16, 16, 3, 3)).astype(np.float32) / 12
        y = body.add_convolution(given, weights, padding=(1,) * 4, name="conv").output
        body.mark_output(body.add_relu(y, name="relu").output, "y")
        bodies[name] = body
    net.mark_output(net.add_layer("If", [flag, x], name="if", **bodies).output, "y")
    plan = plan_of(net, "bf16", monkeypatch)
    image = rng.standard_normal((1, 16, 6, 6)).astype(np.float32)
    config = BuilderConfig(precision="fp32", threads=2, tune="off")
    with plugrt.retune(plan, config) as engine, engine.create_context() as context:
        for value in (True, False):
            feeds = {"x": image, "flag": np.array(value)}
            (wanted,) = net.reference([feeds[name] for name in net.input_names])
            assert_near(context.execute(feeds)["y"], np.asarray(wanted), "bf16")


class Fussy(LayerPlugin):
    """x + 1, as long as it feels like it."""

    type = "Test.Fussy"
    willing = True

    def getOutputDimensions(self, index: int, inputs: Any) -> Shape:
        return tuple(inputs[0].shape)

    def supportsFormat(self, combination: Combination) -> bool:
        return type(self).willing

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0] + 1


def test_a_layer_that_takes_nothing_any_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network("fussy", Registry.of([Fussy]))
    net.mark_output(net.add_layer(Fussy(), [net.add_input("x", "float32", [3])], name="f").output)
    plan = plan_of(net, "fp32", monkeypatch)
    monkeypatch.setattr(Fussy, "willing", False)
    with pytest.raises(PlanError, match=r"layer 'f' .*nor can it be planned anew: layer 'f'"):
        Engine.from_bytes(plan, Registry.of([Fussy]))


def test_a_plan_that_is_not_there() -> None:
    with pytest.raises(PlanError, match=r"nowhere.plan cannot be read: No such file"):
        plugrt.retune("nowhere.plan")
