"""Whatever the tuner chooses, the results are the same.

Times are drawn at random, so that tactics, formats, slices and accumulation come out
differently in every build; each engine must agree with the layers' NumPy references, before
and after a trip through a plan.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

import plugrt
from benchmarks.nets import NETS
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt.core.devices.cpu import CpuDevice
from plugrt.core.tuning.timer import Timer
from plugrt.plugins import DataType

SIZES = {"yolo-fastest": 64, "yolov3-tiny": 32}
TOLERANCES = {"fp32": 1e-5, "bf16": 0.1}


@pytest.mark.parametrize("name", sorted(SIZES))
@pytest.mark.parametrize(
    ("precision", "builds", "batch"),
    [
        ("fp32", 2, 1), ("fp32", 2, 3), ("bf16", 1, 2),
        pytest.param("fp32", 30, 2, marks=pytest.mark.slow),
        pytest.param("bf16", 10, 3, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_random_times(
    name: str, precision: str, builds: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CpuDevice, "narrow_floats", lambda self: (DataType.BFLOAT16,))
    recipe = NETS[name](SIZES[name])
    network = to_plugrt(recipe)
    image = recipe.image(batch)
    expected = dict(zip(network.output_names, network.reference([image]), strict=True))
    for seed in range(builds):
        times: dict[str, float] = {}
        draw = random.Random(seed)

        def seconds(
            timer: Timer, layer: object, candidate: object, best: float = 0.0,
            times: dict[str, float] = times, draw: random.Random = draw,
        ) -> float:  # fmt: skip
            key = timer.key(layer.plugin, candidate, layer.epilogue)
            return times.setdefault(key, draw.random() * 1e-4)

        monkeypatch.setattr(Timer, "seconds", seconds)
        config = plugrt.BuilderConfig(max_batch_size=batch, threads=2, precision=precision)
        with plugrt.build(network, config) as engine:
            again = plugrt.Engine.from_bytes(engine.to_bytes())
            results = [e.create_context().execute({"image": image}) for e in (engine, again)]
            again.close()
        for output, reference in expected.items():
            first, second = (result[output] for result in results)
            error = np.linalg.norm(first - reference) / np.linalg.norm(reference)
            assert error < TOLERANCES[precision], f"build {seed}, output {output}"
            np.testing.assert_array_equal(first, second)
