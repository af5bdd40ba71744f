"""Without oneDNN everything still runs, and one warning says what to do."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import warnings
import numpy as np
import plugrt

network = plugrt.Network()
x = network.add_input("x", "float32", [1, 3, 8, 8])
w = np.random.default_rng(0).standard_normal((4, 3, 3, 3), np.float32)
y = network.add_convolution(x, w, padding=(1, 1, 1, 1)).output
y = network.add_max_pooling(y, kernel=(2, 2)).output
y = network.add_softmax(y).output
network.mark_output(y, "y")
image = np.random.default_rng(1).standard_normal((1, 3, 8, 8), np.float32)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        with plugrt.build(network) as engine, engine.create_context() as context:
            result = context.execute({"x": image})["y"]
np.testing.assert_allclose(result, network.reference([image])[0], rtol=1e-4, atol=1e-5)
(warning,) = caught
print(warning.message)
"""


def test_own_kernels_serve_and_one_warning_is_given() -> None:
    environment = {**os.environ, "PLUGRT_ONEDNN": "/nonexistent/libdnnl.so"}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "oneDNN cannot be opened" in run.stdout
    assert "install onednn-cpu-gomp" in run.stdout
