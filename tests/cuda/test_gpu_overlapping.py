"""Kernels that begin while those ahead of them still run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from plugrt.builtin_layers.identity import Identity
from plugrt.core.devices.cuda.standalone import run_on_gpu
from plugrt.plugins import DataType, Format, KernelPlugin, LayerPlugin, Stream, Tactic, TensorDesc
from plugrt.plugins.expression import Input
from plugrt.plugins.native.cuda import copying, pointwise

pytestmark = pytest.mark.cuda

TURNS = 40


class Chain(KernelPlugin):
    """Adds one TURNS times, each time into another buffer and back: whoever reads too early, or
    writes what is still read, is found out."""

    name = "chain"
    layer = "any"

    def getTactics(self, layer: LayerPlugin, request: Any) -> Sequence[Tactic]:
        return (Tactic("chain"),)

    def getWorkspaceSize(
        self, layer: LayerPlugin, inputs: Sequence[Any], outputs: Sequence[Any]
    ) -> int:
        return int(outputs[0].nbytes)

    def enqueue(
        self, layer: LayerPlugin, inputs: Sequence[Any], outputs: Sequence[Any],
        workspace: Any, stream: Stream,
    ) -> None:
        (source,), (result,) = inputs, outputs
        desc = TensorDesc(result.dtype, result.shape, Format.LINEAR)
        between = type(workspace)(desc, workspace.slot, workspace.offset)
        copying.record(stream, source, result)
        for _ in range(TURNS):
            pointwise.record(stream, Input(0) + 1, [result], between)
            copying.record(stream, between, result)


@pytest.mark.parametrize("form", [Format.LINEAR, Format.CHANNELS_LAST])
@pytest.mark.parametrize("shape", [(1, 8, 3, 5), (2, 64, 150, 170), (8, 128, 112, 112)])
def test_nobody_reads_too_early(shape: tuple[int, ...], form: Format) -> None:
    x = np.random.default_rng(1).integers(0, 1000, shape).astype(np.float32)
    desc = TensorDesc(DataType.FLOAT32, shape, form)
    (y,) = run_on_gpu(Identity(), [x], kernel=Chain(), inputs=[desc], outputs=[desc])
    np.testing.assert_array_equal(y, x + TURNS)
