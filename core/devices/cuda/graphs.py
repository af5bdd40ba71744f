"""Capturing a stream into graphs, and launching them."""

from __future__ import annotations

from typing import Any

from ....plugins import DeviceError
from ....plugins.native.cuda import Context
from ....plugins.native.cuda.driver_calls import call, explained
from ....plugins.native.cuda.packages import driver
from .events import DeviceStream, destroy_with
from .late_starts import hold_back


class Graph:
    """A graph of kernels and copies that one call launches."""

    def __init__(self, context: Context, graph: Any, keep: list[object]) -> None:
        self.context = context
        hold_back(graph)
        self.nodes = int(call("cuGraphGetNodes", graph, 0)[1])
        self.edges = int(call("cuGraphGetEdges", graph, 0)[-1])
        self._keep = keep
        with context.current():
            self._executable = call("cuGraphInstantiate", graph, 0, what="making a graph")
        destroy_with(self, "cuGraphExecDestroy", context, self._executable)
        self._launch = driver().cuGraphLaunch

    def upload(self, stream: DeviceStream) -> None:
        """Prepare the first launch."""
        call("cuGraphUpload", self._executable, stream.cuda)

    def launch(self, stream: DeviceStream) -> None:
        """Put everything on a stream; the context must be current. Raises DeviceError."""
        (error,) = self._launch(self._executable, stream.cuda)
        if error:
            raise explained(error, "cuGraphLaunch", "launching a graph")


class Capture:
    """A stream whose work is collected rather than run. Nothing outside it may be waited for."""

    def __init__(self, context: Context, stream: DeviceStream) -> None:
        self.context = context
        self.stream = stream
        self._is_open = False

    def begin(self) -> None:
        """Start to collect. The thread may still allocate and copy on other streams."""
        mode = driver().CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        self._is_open = True  # first, as Ctrl-C may come between the two
        call("cuStreamBeginCapture", self.stream.cuda, mode)

    def end(self, keep: list[object]) -> Graph | None:
        """The graph so far, or None when it is empty. Raises DeviceError when a layer did
        something that cannot be captured."""
        graph = call("cuStreamEndCapture", self.stream.cuda, what="recording for the GPU")
        self._is_open = False
        if not int(graph):
            raise DeviceError("recording for the GPU failed; a layer ended the capture")
        try:
            if not int(call("cuGraphGetNodes", graph, 0)[1]):
                return None
            return Graph(self.context, graph, keep)
        finally:
            call("cuGraphDestroy", graph)

    def abort(self) -> None:
        """Leave the capture, whatever state it is in."""
        if self._is_open:
            error, graph = driver().cuStreamEndCapture(self.stream.cuda)
            self._is_open = False
            if not int(error) and int(graph):
                call("cuGraphDestroy", graph)
