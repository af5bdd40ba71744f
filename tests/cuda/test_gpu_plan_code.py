"""A plan that is trusted runs on a GPU without compiling anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, Engine, Network
from plugrt.builtin_layers import kernels_cuda
from plugrt.builtin_layers.convolution import cudnn_candidate
from plugrt.core.engine.plan import read_code
from plugrt.plugins.native.cuda import compiler, kernel_cache
from plugrt.plugins.native.cuda.cudnn import convolution

pytestmark = pytest.mark.cuda


def network() -> Network:
    """Two convolutions, one by cuDNN, and a pooling by a kernel of our own."""
    random = np.random.default_rng(0)
    made = Network("network")
    x = made.add_input("x", "float32", [2, 32, 16, 16])
    for _ in range(2):
        weights = random.standard_normal((32, 32, 3, 3), np.float32) * np.float32(0.06)
        x = made.add_relu(made.add_convolution(x, weights, padding=(1,) * 4).output).output
    made.mark_output(made.add_global_average_pooling(x).output, "y")
    return made


def forget() -> None:
    """As if the process were new, as far as compiled code goes."""
    cudnn_candidate.built.cache_clear()
    kernels_cuda.kernel.cache_clear()


def test_a_trusted_plan_compiles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(1).random((2, 32, 16, 16), np.float32)
    path = tmp_path / "network.plan"
    config = BuilderConfig(device="cuda", precision="fp16", tune="fast", threads=1)
    with plugrt.build(network(), config) as engine:
        engine.save(path)
        with engine.create_context() as context:
            wanted = context.execute({"x": image})["y"]
    assert len(read_code(path.read_bytes())) >= 2
    compiled: list[str] = []
    monkeypatch.setenv(kernel_cache.VARIABLE, str(tmp_path / "kernels"))
    for module, name in ((compiler, "_compile"), (convolution, "build_plan")):
        original = getattr(module, name)

        def noted(*given: Any, original: Any = original, name: str = name) -> Any:
            compiled.append(name)
            return original(*given)

        monkeypatch.setattr(module, name, noted)
    for trusted in (True, False):
        forget()
        with Engine.load(path, trusted=trusted) as engine, engine.create_context() as context:
            np.testing.assert_array_equal(context.execute({"x": image})["y"], wanted)
        assert bool(compiled) != trusted
    forget()
