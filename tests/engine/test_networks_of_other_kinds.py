"""Networks unlike the benchmarks' in 16-bit floats, where weights of a layer may stay exact beside
inputs that are not; and their plans."""

from __future__ import annotations

import numpy as np
import pytest

import plugrt
from plugrt import Engine
from tests.cuda.composed_networks import COMPOSED
from tests.cuda.whole_networks import distance, images, on_cpu, settings


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", COMPOSED)
def test_plans_of_narrow_floats(name: str, precision: str) -> None:
    network = COMPOSED[name]()
    given = images(network)
    wanted = on_cpu(COMPOSED[name](), given)
    with plugrt.build(network, settings("cpu", precision)) as engine:
        plan = engine.to_bytes()
    with Engine.from_bytes(plan) as engine, engine.create_context() as context:
        for output, found in context.execute(given).items():
            assert distance(np.asarray(found), wanted[output]) < 2e-2
