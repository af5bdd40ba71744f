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
from plugrt.core.tuning.timer import Timer

SIZES = {"yolo-fastest": 64, "yolov3-tiny": 32}


@pytest.mark.parametrize("name", sorted(SIZES))
@pytest.mark.parametrize(
    ("builds", "batch"), [(2, 1), (2, 3), pytest.param(30, 2, marks=pytest.mark.slow)]
)
def test_random_times(
    name: str, builds: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        config = plugrt.BuilderConfig(max_batch_size=batch, threads=2)
        with plugrt.build(network, config) as engine:
            again = plugrt.Engine.from_bytes(engine.to_bytes())
            results = [e.create_context().execute({"image": image}) for e in (engine, again)]
            again.close()
        for output, reference in expected.items():
            first, second = (result[output] for result in results)
            error = np.linalg.norm(first - reference) / np.linalg.norm(reference)
            assert error < 1e-5, f"build {seed}, output {output}"
            np.testing.assert_array_equal(first, second)
