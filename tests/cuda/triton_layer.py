"""A layer by Triton, whose functions must lie in a file."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from plugrt.plugins import LayerPlugin, Shape, Stream
from plugrt.plugins.native.cuda import guest_array


# Triton reads annotations, and knows only its own.
@triton.jit  # type: ignore[misc]
def double(x, y, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    places = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + places, 2 * tl.load(x + places, mask=places < count), mask=places < count)


class ByTriton(LayerPlugin):
    """2 x."""

    type = "Acme.ByTriton"
    devices = ("cuda",)
    recordable = True

    def getOutputDimensions(self, index: int, inputs: Any) -> Shape:
        return tuple(inputs[0].shape)

    def reference(self, inputs: Any) -> list[Any]:
        return [2 * inputs[0]]

    def initialize(self) -> None:
        double.warmup(torch.float32, torch.float32, 1024, BLOCK=256, grid=(1,))

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        x, y = (
            torch.as_tensor(guest_array(stream, view), device="cuda")
            for view in (inputs[0], outputs[0])
        )
        with torch.cuda.stream(torch.cuda.ExternalStream(stream.handle)):
            double[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
