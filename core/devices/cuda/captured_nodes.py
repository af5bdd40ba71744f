"""The end of a captured stream: the graph's nodes that what comes next depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from ....plugins.native.cuda.driver_calls import call
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


def put_beside(stream: DeviceStream, parts: Sequence[Callable[[], None]]) -> None:
    """Put parts on a captured stream that do not wait for each other; what comes next waits for
    all of them."""
    if len(parts) < 2:
        for part in parts:
            part()
        return
    start = captured(stream)[1]
    ends: dict[int, Any] = {}
    for part in parts:
        continue_behind(stream, start)
        part()
        ends.update({int(node): node for node in captured(stream)[1]})
    continue_behind(stream, list(ends.values()))


@cache
def edge_data() -> tuple[None, ...]:
    """The argument for data of edges, there being none; CUDA 12's calls do not have it."""
    text = driver().cuGraphAddNode.__doc__ or ""
    return () if "dependencyData" not in text.partition("\n")[0] else (None,)
