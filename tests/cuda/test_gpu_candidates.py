"""What the tuner times computes the same: every candidate of every layer of whole networks, against
the others that read and write the same types and formats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import plugrt
from benchmarks.nets.lenet import lenet
from benchmarks.nets.recipe import Recipe
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt import BuilderConfig
from plugrt.core.devices.cuda.bench import CudaBench
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.core.tuning.candidates import Candidate
from plugrt.plugins import TensorDesc

pytestmark = pytest.mark.cuda

POISON = 0xFF
"""Every byte of outputs and scratch memory, and of what follows each tensor: NaN in floats."""

GUARD = 1 << 16
"""So many bytes follow each tensor."""

TOLERANCE = {"fp32": 1e-4, "fp16": 0.02, "bf16": 0.05}
"""Of the largest value: sums of random numbers in another order, rounded once."""


def blocks() -> Recipe:
    """What the large networks are made of, in small: first layer, pooling, blocks with a way
    around, a step of 2, a depthwise convolution, an average and a product."""
    net = Recipe(3, 32, 32, 0)
    x = net.max_pooling(net.convolution("image", 64, 7, 2, activation="relu"), 3, 2, 1, 1)
    for stride in (1, 2):
        y = net.convolution(x, 64, 1, activation="relu")
        y = net.convolution(y, 64, 3, stride, activation="relu")
        y = net.convolution(y, 128, 1, activation=None)
        x = net.convolution(x, 128, 1, stride, activation=None)
        x = net.relu(net.add(y, x))
    x = net.convolution(x, 128, 3, depthwise=True, activation="relu")
    net.output(net.fully_connected(net.global_average(x), 10, 128))
    return net


def guarded_buffer(
    self: CudaBench, role: str, index: int, desc: TensorDesc, sample: Any = None
) -> DeviceBuffer:
    """What the bench has in its place shares memory and has none behind tensors."""
    key = (role, index, desc.dtype, desc.nbytes)
    found = self._buffers.get(key)
    if found is None:
        found = self._buffers[key] = DeviceBuffer(self._context, desc.nbytes + GUARD)
        found.fill(POISON)
        if sample is not None:
            count = desc.nbytes // desc.dtype.itemsize
            found.write(sample(TensorDesc(desc.dtype, (count,))))
    return found


@pytest.mark.parametrize(
    ("recipe", "batch", "precision"),
    [
        (lenet, 1, "fp16"), (blocks, 5, "fp16"),
        *(
            pytest.param(recipe, batch, precision, marks=pytest.mark.slow)
            for recipe, batch, precision in (
                (lenet, 5, "bf16"), (lenet, 5, "fp32"), (blocks, 1, "bf16"), (blocks, 1, "fp32")
            )
        ),
    ],
)  # fmt: skip
def test_all_candidates_agree(
    recipe: Any, batch: int, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: dict[Any, list[tuple[str, Any]]] = {}
    original = CudaBench.prepared

    @contextmanager
    def prepared(
        self: CudaBench, layer: Any, candidate: Candidate, sample: Any, where: Any
    ) -> Iterator[Any]:
        with original(self, layer, candidate, sample, where) as run:
            if candidate.tactic.accumulates_into is None:
                desc = candidate.outputs[0]
                buffer = self._buffer("out", 0, desc)
                buffer.fill(POISON)
                run()
                stored = buffer.read(desc.nbytes).view(desc.dtype.numpy)
                key = (layer.name, layer.plugin.type, candidate.places, desc.sizes)
                name = candidate.kernel or candidate.tactic.name
                results.setdefault(key, []).append((name, stored.astype(np.float64)))
            yield run

    monkeypatch.setattr(CudaBench, "prepared", prepared)
    monkeypatch.setattr(CudaBench, "_buffer", guarded_buffer)
    config = BuilderConfig(device="cuda", precision=precision, tune="fast", threads=1)
    plugrt.build(to_plugrt(recipe(), batch), config).close()
    assert any(len(found) > 3 for found in results.values())
    wrong = []
    for (layer, kind, *_), found in results.items():
        wanted = np.nanmedian(np.stack([values for _, values in found]), axis=0)
        limit = TOLERANCE[precision] * max(float(np.abs(wanted).max()), 1e-3)
        wrong += [
            f"{layer} ({kind}): {name}" for name, values in found
            if not np.abs(values - wanted).max() <= limit
        ]  # fmt: skip
    assert wrong == []
