"""Kernels of others that follow ours begin when ours have ended.

Our kernels begin while those ahead of them end, and wait for them (dependency.cuh). Libraries
launch kernels so that they may begin early, too, and some of cuDNN's do not wait: a kernel that
has ended by the edge of a graph need not have written everything for one that begins by it. In a
graph that shows in the edges; between the libraries' own kernels they are left as they are.
"""

from __future__ import annotations

from typing import Any

from ....plugins.native.cuda.driver_calls import call
from ....plugins.native.cuda.early_starts import awaits_predecessors, edges_have_data
from ....plugins.native.cuda.packages import driver


def hold_back(graph: Any) -> int:
    """Let the kernels of a captured graph that are not ours wait until those of ours ahead of
    them have ended; how many edges were changed."""
    number = int(call("cuGraphGetEdges", graph, 0)[-1])
    if not number or not edges_have_data():
        return 0
    programmatic = driver().CUgraphDependencyType.CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC
    sources, targets, data, _ = call("cuGraphGetEdges", graph, number)
    changed = 0
    for source, target, edge in zip(sources, targets, data or (), strict=False):
        if int(edge.type) == int(programmatic) and _is_ours(source) and not _is_ours(target):
            call("cuGraphRemoveDependencies", graph, [source], [target], [edge], 1)
            call("cuGraphAddDependencies", graph, [source], [target], None, 1)
            changed += 1
    return changed


def _is_ours(node: Any) -> bool:
    return awaits_predecessors(int(call("cuGraphKernelNodeGetParams", node).func))
