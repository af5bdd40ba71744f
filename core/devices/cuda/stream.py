"""The recorder of the CUDA device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from ....plugins import (
    CommandList,
    LayerPlugin,
    PluginError,
    TensorView,
)
from ....plugins import Graph as Body
from ....plugins.native.cuda import Context, CudaKernel
from ....plugins.stream import Argument
from ..recorder import BodyRecorder, RecorderStream
from .branches import Branches
from .control_flow import CudaCommandList, Loop, record_branch, record_loop
from .events import DeviceStream, Event
from .faults import Faults
from .graphs import Capture, Graph
from .host_fallback import record_on_host
from .host_steps import Function, HostStep
from .slots import CudaSlots, CudaStore

Step = Graph | HostStep


class CudaStream(RecorderStream):
    """Captures what layers put on `handle`; host callbacks split it into several graphs.

    The addresses of all slots are fixed while it records. The context is current on the
    calling thread from `begin` to `finish` or `abort`.
    """

    device = "cuda"
    thread_count = 1
    slots: CudaSlots

    def __init__(
        self, context: Context, stream: DeviceStream, slots: CudaSlots,
        faults: Faults, record_body: BodyRecorder | None = None, timed: bool = False,
    ) -> None:  # fmt: skip
        self.context = context
        self.ordinal = context.ordinal
        self.slots = slots
        self.store = CudaStore(slots)
        self.layer_names: list[str] = []
        self.owners: list[int] = []
        """For every entry of `layer_names`, the number of the outermost layer it is part of."""
        self.marks: list[tuple[int, Event]] = []
        """When timed: (outermost layer, event) before each layer and at each graph's end."""
        self._streams = [stream]
        self._faults = faults
        self._record_body = record_body
        self._timed = timed
        self._capture = Capture(context, stream)
        self._branches = Branches()
        self._steps: list[Step] = []
        self._kept: list[object] = []
        self._outermost = -1
        self._open = False

    @property
    def handle(self) -> int:
        return self.current.handle

    @property
    def current(self) -> DeviceStream:
        """The stream that is captured at present."""
        return self._streams[-1]

    def address(self, view: TensorView) -> int:
        return self.slots.address(view.slot) + view.offset

    def begin(self) -> None:
        """Start the capture."""
        self._capture.begin()
        self._open = True

    def begin_layer(self, name: str, after: Sequence[int] | None = None) -> None:
        """Attribute what follows to a layer, which may run beside those that are not in `after`.
        Timed, every layer waits for the one before it."""
        if len(self._streams) == 1:
            self._outermost += 1
            self._branches.begin(self.current, None if self._timed else after)
            self.mark()
        self._enter(name)

    def join(self) -> None:
        """Let what follows wait for all layers."""
        self._branches.join(self.current)

    def _enter(self, name: str) -> None:
        self.layer_names.append(name)
        self.owners.append(self._outermost)

    def mark(self, layer: int | None = None) -> None:
        """When timed, put an event here."""
        if self._timed:
            event = Event(self.context, timing=True)
            event.record_in_graph(self.current)
            self.marks.append((self._outermost if layer is None else layer, event))

    def launch_grid(
        self, kernel: CudaKernel, grid: Sequence[int], block: Sequence[int],
        *arguments: Argument, shared_bytes: int = 0,
    ) -> None:  # fmt: skip
        self._check_open()
        parameters = kernel.parameters(arguments, self.address)
        kernel.launch(self.context, self.handle, grid, block, parameters, shared_bytes)
        self._kept.append(kernel)

    def launch_raw(self, address: int, arguments: bytes, keep: object = None) -> None:
        raise PluginError(
            f"layer {self._layer_name!r} launches a kernel of plugrt_kernel.h, which runs on "
            "the CPU, on device 'cuda'; use stream.launch_grid or stream.handle there, or leave "
            "'cuda' out of the layer's `devices`, so that it runs as a host callback"
        )

    def keep(self, resource: object) -> None:
        self._kept.append(resource)

    def host_callback(
        self, function: Function, inputs: Sequence[TensorView], outputs: Sequence[TensorView]
    ) -> None:
        self._check_open()
        if len(self._streams) > 1:
            raise PluginError(
                f"layer {self._layer_name!r} has no kernels for CUDA and stands in a body of "
                "control flow, which runs on the GPU alone; build for the device 'cpu'"
            )
        self._split()
        self._steps.append(
            HostStep(
                self.context, len(self.layer_names) - 1, function,
                [(view, self._staged_address(view)) for view in inputs],
                [(view, self._staged_address(view)) for view in outputs],
            )
        )  # fmt: skip
        self._capture.begin()
        self._branches.restart()

    def record_on_host(
        self, plugin: LayerPlugin, inputs: Sequence[TensorView | None],
        outputs: Sequence[TensorView], workspace: TensorView | None,
    ) -> None:  # fmt: skip
        weights = self.slots.weights
        record_on_host(
            self, plugin, inputs, outputs, workspace, weights.host, weights.host_threads,
            self._record_body, self._layer_name,
        )  # fmt: skip

    def _staged_address(self, view: TensorView) -> int:
        return 0 if view.desc.is_constant else self.address(view)

    def _split(self) -> None:
        self.slots.weights.code.note(self._kept)
        graph = self._capture.end(list(self._kept))
        if graph is not None:
            self._steps.append(graph)

    def record(
        self, body: Body, inputs: Sequence[TensorView], outputs: Sequence[TensorView],
        workspace: TensorView,
    ) -> CommandList:  # fmt: skip
        record_body = self._record_body
        if record_body is None:
            raise PluginError("bodies can be recorded in an engine's context only")

        def record() -> None:
            outer = len(self.layer_names)
            name = self._layer_name
            record_body(self, body, inputs, outputs, workspace)
            for index in range(outer, len(self.layer_names)):
                self.layer_names[index] = f"{name}/{self.layer_names[index]}"
            self._enter(name)  # what follows is the outer layer's again

        return CudaCommandList(record)

    @contextmanager
    def inside(self, stream: DeviceStream) -> Iterator[None]:
        """Record on the stream of a conditional node's body."""
        self._streams.append(stream)
        try:
            yield
        finally:
            self._streams.pop()

    def branch(self, condition: TensorView, lists: Sequence[CommandList]) -> None:
        self._check_open()
        if len(lists) != 2:
            raise PluginError(f"branch takes two command lists, not {len(lists)}")
        yes, no = (cast(CudaCommandList, item) for item in lists)
        record_branch(self, condition, yes, no)

    def repeat(
        self,
        body: CommandList,
        *,
        maximum: TensorView | int,
        condition: TensorView | None = None,
        iteration: TensorView | None = None,
        carried: Iterable[tuple[TensorView, TensorView]] = (),
        stacked: Iterable[tuple[TensorView, TensorView]] = (),
        count: TensorView | None = None,
    ) -> None:
        self._check_open()
        commands = cast(CudaCommandList, body)
        record_loop(
            self,
            Loop(commands, maximum, condition, iteration, list(carried), list(stacked), count),
        )

    def fault(self, message: str) -> int:
        """The address of an int32 that a kernel sets when it cannot go on; whoever waits for
        the recording then gets a DeviceError with the layer's name and this message."""
        return self._faults.address(f"layer {self._layer_name!r} failed: {message}")

    def finish(self) -> list[Step]:
        """Close the stream and return what is to be run, in order. Raises DeviceError when a
        layer did something that cannot be captured."""
        self.join()
        self.mark()
        self._open = False
        self._split()
        return self._steps

    def abort(self) -> None:
        """Leave the capture after a failure."""
        self._open = False
        self._capture.abort()

    @property
    def _layer_name(self) -> str:
        return self.layer_names[-1] if self.layer_names else "?"

    def _check_open(self) -> None:
        if not self._open:
            raise PluginError("this stream is recorded already; launch kernels during enqueue only")


