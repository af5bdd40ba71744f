"""Which layers of a network run in 8 bits on a GPU; cuDNN is played."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugrt import Network
from plugrt.builtin_layers.convolution import cudnn_candidate
from plugrt.core.devices.target import Target
from plugrt.core.passes.fuse import fuse_epilogues
from plugrt.core.passes.precision import lower_precision
from plugrt.plugins import DataType, Format
from plugrt.plugins.native.cuda import cublaslt, cudnn

FORMATS = [Format.CHANNELS_LAST, Format.LINEAR]
GPU = Target("cuda")


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN has a plan for everything, cuBLASLt is not there."""
    monkeypatch.setattr(cudnn, "available", lambda: True)
    monkeypatch.setattr(cublaslt, "available", lambda: False)
    monkeypatch.setattr(cudnn_candidate, "proposed_plans", lambda graph: ("eng4",))


def test_ways_around_stay_in_eight_bits_and_first_layers_in_float() -> None:
    network = Network("block")
    image = network.add_input("image", "float32", [2, 3, 16, 16])

    def convolution(x: Any, outputs: int, size: int, name: str) -> Any:
        weights = np.ones((outputs, x.shape[1], size, size), np.float32)
        return network.add_convolution(
            x, weights, np.ones(outputs, np.float32), padding=(size // 2,) * 4, name=name
        ).output  # fmt: skip

    stem = network.add_relu(convolution(image, 32, 3, "stem"), name="relu0").output
    pooled = network.add_max_pooling(stem, kernel=(2, 2), strides=(2, 2), name="pool").output
    inner = network.add_relu(convolution(pooled, 32, 3, "inner"), name="relu1").output
    total = network.add_add(convolution(inner, 32, 1, "outer"), pooled, name="add").output
    last = network.add_relu(total, name="relu2").output
    smaller = network.add_max_pooling(last, kernel=(2, 2), strides=(2, 2), name="later").output
    network.mark_output(smaller, "y")
    for tensor in (image, stem, inner, last):
        tensor.set_quantization(0.1)
    fuse_epilogues(network, FORMATS, tuple, GPU)
    report: list[str] = []
    lower_precision(network, FORMATS, tuple, GPU, report.append)
    told = [line.partition(":")[0] for line in report if "8 bits" in line]
    assert told == ["inner", "outer", "later"]
    layers = {layer.name: layer for layer in network.layers}
    assert layers["stem"].output.dtype is layers["pool"].output.dtype is DataType.FLOAT32
    (cast,) = [
        layer for layer in network.layers
        if layer.plugin.role == "cast" and layer.inputs[0] is layers["pool"].output
    ]  # fmt: skip
    outer = layers["outer"]
    assert outer.inputs[-1] is cast.output is layers["inner"].inputs[0]
    assert outer.output.dtype is layers["later"].output.dtype is DataType.INT8
