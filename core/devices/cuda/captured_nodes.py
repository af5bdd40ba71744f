"""The end of a captured stream: the graph's nodes that what comes next depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....plugins.native.cuda.driver_calls import call
from ....plugins.native.cuda.early_starts import edges_have_data
from ....plugins.native.cuda.packages import driver
from .events import DeviceStream


def captured(stream: DeviceStream) -> tuple[Any, list[Any]]:
    """The graph that a stream is captured into, and the nodes at its end."""
    found = call("cuStreamGetCaptureInfo", stream.cuda)
    return found[2], list(found[3] or [])


def continue_behind(stream: DeviceStream, nodes: Sequence[Any]) -> None:
    """Let what comes next on a captured stream depend on these nodes, and on no others."""
    replace = driver().CUstreamUpdateCaptureDependencies_flags.CU_STREAM_SET_CAPTURE_DEPENDENCIES
    call("cuStreamUpdateCaptureDependencies", stream.cuda, list(nodes), *edge_data(), len(nodes),
         int(replace))  # fmt: skip


def edge_data() -> tuple[None, ...]:
    """The argument for data of edges, there being none; CUDA 12's calls do not have it."""
    return (None,) if edges_have_data() else ()
