"""A process that only runs plans imports and keeps no more than it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import plugrt

PROGRAM = """
import json, sys
import numpy as np
import plugrt

with plugrt.Engine.load(sys.argv[1]) as engine, engine.create_context() as context:
    context.execute({"x": np.ones((1, 16, 8, 8), np.float32)})
print(json.dumps(sorted(sys.modules)))
"""

IDLE = (
    "plugrt.core.builder", "plugrt.core.tuning", "plugrt.parsers", "plugrt.plugins.native.cuda",
    "ml_dtypes", "onnx", "pycparser",
)  # fmt: skip


def test_nothing_that_builds_is_imported(tmp_path: Path) -> None:
    network = plugrt.Network()
    x = network.add_input("x", "float32", [1, 16, 8, 8])
    weights = np.random.default_rng(0).standard_normal((16, 16, 3, 3), np.float32)
    network.mark_output(network.add_convolution(x, weights, padding=(1, 1, 1, 1)).output, "y")
    plan = tmp_path / "small.plan"
    with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine:
        engine.save(plan)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(plan)], check=True, capture_output=True, text=True
    )
    imported = json.loads(done.stdout)
    assert [name for name in imported if name.startswith(IDLE)] == []
    assert "plugrt.core.engine.engine" in imported


def test_names_of_the_builder_are_there_at_once() -> None:
    assert set(plugrt.__all__) <= set(dir(plugrt))
    assert all(getattr(plugrt, name) is not None for name in plugrt.__all__)
    assert not hasattr(plugrt, "no_such_name")
