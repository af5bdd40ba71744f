"""Outputs that kernels write straight into the memory of the host."""

from __future__ import annotations

from ...graph import Network, Tensor
from ...memory import MemoryPlan


def streamed_outputs(network: Network, plan: MemoryPlan) -> frozenset[int]:
    """The numbers of the outputs that their layers say are only written, that nothing else reads,
    and that share their memory with no other tensor."""
    sizes = list(map(id, network.size_tensors.values()))
    return frozenset(
        index for index, tensor in enumerate(network.outputs)
        if _is_streamed(tensor) and id(tensor) not in sizes
        and sum(tensor is other for other in network.outputs) == 1
        and _is_alone(tensor, plan)
    )  # fmt: skip


def _is_streamed(tensor: Tensor) -> bool:
    layer = tensor.producer
    if layer is None or layer.on_host or layer.kernel is not None or tensor.consumers:
        return False
    return layer.outputs.index(tensor) in layer.plugin.streamed_outputs


def _is_alone(tensor: Tensor, plan: MemoryPlan) -> bool:
    """Not so where the plan lets another layer write a slice of it, say."""
    place = plan.of(tensor)
    return (place.where, place.offset) == ("output", 0) and not any(
        (other.where, other.buffer) == ("output", place.buffer)
        for key, other in plan.placements.items() if key != id(tensor)
    )
