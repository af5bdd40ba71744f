"""Branches and loops of a recording: conditional graph nodes and the kernels that set them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ....plugins import CommandList, ShapeError, TensorView
from ....plugins.native.cuda import CudaKernel, CudaSource
from ....plugins.native.cuda.driver_calls import call
from .conditional_nodes import add_conditional
from .events import DeviceStream
from .memory import DeviceBuffer

if TYPE_CHECKING:
    from .stream import CudaStream

_SOURCE = CudaSource(
    (Path(__file__).parent / "control_flow.cu").read_text(encoding="utf-8"), "control_flow.cu"
)
CHOOSE_BRANCH = CudaKernel(_SOURCE, "choose_branch", "QTi")
BEGIN_LOOP = CudaKernel(_SOURCE, "begin_loop", "QPqPPPPqP")
END_OF_RUN = CudaKernel(_SOURCE, "end_of_run", "QPPPPqP")
COPY_ROW = CudaKernel(_SOURCE, "copy_row", "TTqP")

LOOP_STATE_BYTES = 16
TOO_MANY_RUNS = "the loop runs more often than the {} rows of its stacked outputs"


@dataclass
class CudaCommandList(CommandList):
    """A body, recorded where it is used: a conditional node's graph has no other place."""

    record: Callable[[], None]


@dataclass
class Loop:
    """A loop to be recorded; `None` for what it does not have."""

    body: CudaCommandList
    maximum: TensorView | int
    condition: TensorView | None = None
    iteration: TensorView | None = None
    carried: list[tuple[TensorView, TensorView]] = field(default_factory=list)
    stacked: list[tuple[TensorView, TensorView]] = field(default_factory=list)
    count: TensorView | None = None


def record_branch(
    stream: CudaStream, condition: TensorView, yes: CudaCommandList, no: CudaCommandList
) -> None:
    """Append one conditional node per side."""
    for commands, wanted in ((yes, 1), (no, 0)):

        def choose(handle: int, wanted: int = wanted) -> None:
            stream.launch_grid(CHOOSE_BRANCH, [1], [1], handle, condition, wanted)

        def run(own: DeviceStream, handle: int, commands: CudaCommandList = commands) -> None:
            with stream.inside(own):
                commands.record()

        add_conditional(stream.context, stream.current, False, choose, run)


def record_loop(stream: CudaStream, loop: Loop) -> None:
    """Append a node that repeats the body. Raises ShapeError for tensors that do not fit."""
    _check_transfers(loop)
    state = DeviceBuffer(stream.context, LOOP_STATE_BYTES)
    stream.keep(state)
    capacity = min((rows.shape[0] for _, rows in loop.stacked), default=-1)
    fault = stream.fault(TOO_MANY_RUNS.format(capacity)) if loop.stacked else 0

    def at(view: TensorView | None) -> int:
        return 0 if view is None else stream.address(view)

    def begin(handle: int) -> None:
        fixed = loop.maximum if isinstance(loop.maximum, int) else 0
        where = 0 if isinstance(loop.maximum, int) else stream.address(loop.maximum)
        stream.launch_grid(
            BEGIN_LOOP, [1], [1], handle, state.address, fixed, where, at(loop.condition),
            at(loop.iteration), at(loop.count), capacity, fault,
        )  # fmt: skip

    def run(own: DeviceStream, handle: int) -> None:
        with stream.inside(own):
            loop.body.record()
            for element, rows in loop.stacked:
                size = element.desc.nbytes
                blocks = min(max(-(-size // 1024), 1), 1024)
                stream.launch_grid(COPY_ROW, [blocks], [256], element, rows, size, state.address)
            for source, target in loop.carried:
                if not source.same_memory(target):
                    call("cuMemcpyDtoDAsync", stream.address(target), stream.address(source),
                         source.desc.nbytes, stream.handle)  # fmt: skip
            stream.launch_grid(
                END_OF_RUN, [1], [1], handle, state.address, at(loop.condition),
                at(loop.iteration), at(loop.count), capacity, fault,
            )  # fmt: skip

    add_conditional(stream.context, stream.current, True, begin, run)


def _check_transfers(loop: Loop) -> None:
    pairs = [(source, target, target.shape) for source, target in loop.carried]
    pairs += [(element, rows, rows.shape[1:]) for element, rows in loop.stacked]
    for source, target, wanted in pairs:
        if source.shape != tuple(wanted) or not (source.desc.is_dense and target.desc.is_dense):
            raise ShapeError(
                f"a loop cannot copy {source.desc} to {target.desc}; a carried value keeps its "
                "shape, and a stacked one adds a first axis"
            )
