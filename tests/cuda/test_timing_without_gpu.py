"""What candidates for a GPU are timed with, with a driver that is played."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from plugrt import Network, Registry, TimingCache
from plugrt.core.devices.cuda.bench import CudaBench
from plugrt.core.tuning.candidates import Candidate
from plugrt.core.tuning.timer import Timer
from plugrt.plugins import DataType, LayerPlugin, Shape, Stream, Tactic, TacticRequest, TensorDesc

from .fake_driver import FakeDriver


class Weighing(LayerPlugin):
    """Notes the means of what it reads when it is recorded, by type; there are no kernels."""

    type = "Test.Weighing"
    devices = ("cuda",)
    recordable = True
    means: ClassVar[dict[str, set[int]]] = {}

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def getTactics(self, request: TacticRequest) -> list[Tactic]:
        return [Tactic("none")]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        found = ctypes.string_at(stream.address(inputs[0]), inputs[0].desc.nbytes)
        mean = np.frombuffer(found, np.float32).mean()
        self.means.setdefault(self.type, set()).add(round(float(mean)))


class WeighingSparse(Weighing):
    """The same for values that are mostly small."""

    type = "Test.WeighingSparse"
    typical_floats = (-9.0, 0.5)


def test_layers_are_timed_with_numbers_like_those_they_will_get(driver: FakeDriver) -> None:
    registry = Registry(Registry.default())
    network = Network("chain", registry)
    x = network.add_input("x", "float32", [4, 500])
    for kind in (Weighing, WeighingSparse, Weighing):
        x = network.add_layer(kind(), [x]).output
    desc = TensorDesc(DataType.FLOAT32, (4, 500))
    candidate = Candidate((desc,), (desc,), Tactic("none"))
    bench = CudaBench(registry, 0, 1)
    timer = Timer(TimingCache(), 1, registry, bench.efforts["fast"], bench=bench)
    assert all(timer.seconds(layer, candidate) is not None for layer in network.layers)
    timer.close()
    assert Weighing.means == {"Test.Weighing": {0}, "Test.WeighingSparse": {-9}}
