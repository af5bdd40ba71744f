"""Graph nodes that run their body if, or while, a value on the device says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....plugins import DeviceError
from ....plugins.native.cuda import Context, driver_version
from ....plugins.native.cuda.devices import CONDITIONAL_NODES
from ....plugins.native.cuda.driver_calls import call
from ....plugins.native.cuda.packages import driver
from .captured_nodes import captured, continue_behind, edge_data
from .events import DeviceStream
from .late_starts import hold_back


def require_conditional_nodes() -> None:
    """Raise DeviceError where the driver has none."""
    found = driver_version()
    if found < CONDITIONAL_NODES or not hasattr(driver(), "cuGraphConditionalHandleCreate"):
        raise DeviceError(
            f"control flow on the GPU needs conditional graph nodes, which CUDA has from "
            f"{'.'.join(map(str, CONDITIONAL_NODES))} on; the driver supports "
            f"{'.'.join(map(str, found))}: install a newer one, or build for the device 'cpu'"
        )


def add_conditional(
    context: Context, parent: DeviceStream, repeats: bool, set_first: Callable[[int], None],
    body: Callable[[DeviceStream, int], None],
) -> None:  # fmt: skip
    """Append a node to the captured stream `parent`.

    `set_first(handle)` records on `parent` what decides whether the body runs at all,
    `body(stream, handle)` records the body on a stream of its own; with `repeats` it runs until
    it has set the handle to 0. Raises DeviceError where the driver lacks such nodes.
    """
    require_conditional_nodes()
    module = driver()
    graph, _ = captured(parent)
    handle = call("cuGraphConditionalHandleCreate", graph, context.handle, 0, 0)
    set_first(int(handle))
    graph, dependencies = captured(parent)
    kinds = module.CUgraphConditionalNodeType
    parameters = module.CUgraphNodeParams()
    parameters.type = module.CUgraphNodeType.CU_GRAPH_NODE_TYPE_CONDITIONAL
    parameters.conditional.handle = handle
    parameters.conditional.type = (
        kinds.CU_GRAPH_COND_TYPE_WHILE if repeats else kinds.CU_GRAPH_COND_TYPE_IF
    )
    parameters.conditional.size = 1
    parameters.conditional.ctx = context.handle
    node = call("cuGraphAddNode", graph, dependencies, *edge_data(), len(dependencies), parameters,
                what="adding control flow to a graph")  # fmt: skip
    continue_behind(parent, [node])
    inner = parameters.conditional.phGraph_out[0]
    _capture_into(inner, context, lambda own: body(own, int(handle)))


def _capture_into(graph: Any, context: Context, body: Callable[[DeviceStream], None]) -> None:
    own = DeviceStream(context)
    mode = driver().CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
    try:
        call("cuStreamBeginCaptureToGraph", own.cuda, graph, None, None, 0, mode)
        body(own)
    except BaseException:
        driver().cuStreamEndCapture(own.cuda)
        raise
    hold_back(call("cuStreamEndCapture", own.cuda, what="recording a body for the GPU"))
