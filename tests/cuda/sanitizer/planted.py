"""Layers with one error each, which the tools must find."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from plugrt.core.devices.cuda import CudaStream
from plugrt.core.devices.cuda.control_flow import CudaCommandList
from plugrt.plugins import Array, LayerPlugin, Shape, Stream, attribute
from plugrt.plugins.native.cuda import CudaKernel, CudaSource

_SOURCE = CudaSource((Path(__file__).parent / "planted.cu").read_text("utf-8"), "planted.cu")

FAULTS = {
    "memcheck": CudaKernel(_SOURCE, "leave_buffer", "TTTii"),
    "racecheck": CudaKernel(_SOURCE, "race", "TTTii"),
    "initcheck": CudaKernel(_SOURCE, "read_unwritten", "TTTii"),
    "synccheck": CudaKernel(_SOURCE, "diverge", "TTTii"),
}
"""The kernel that has the error which a tool looks for."""

COUNT = 64
"""Threads, and elements of each tensor."""

INPUT: Array = np.arange(COUNT, dtype=np.float32)


class Planted(LayerPlugin):
    """A copy of 64 numbers by the kernel for one tool."""

    type = "Test.Planted"
    devices = ("cuda",)
    recordable = True
    tool = attribute(str, "memcheck", "a key of FAULTS")
    wrong = attribute(bool, True, "whether the error is there")
    inside = attribute(bool, False, "whether it runs in the body of a loop")

    def getOutputDimensions(self, index: int, inputs: Any) -> Shape:
        return tuple(inputs[0].shape)

    def getWorkspaceSize(self, inputs: Any, outputs: Any) -> int:
        return 4 * COUNT

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        def launch() -> None:
            stream.launch_grid(
                FAULTS[self.tool], [1], [COUNT], inputs[0], outputs[0], workspace, COUNT,
                int(self.wrong),
            )  # fmt: skip

        if self.inside:
            cast(CudaStream, stream).repeat(CudaCommandList(launch), maximum=2)
        else:
            launch()
