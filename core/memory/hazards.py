"""Which layers must follow which, by the memory that they read and write."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ...plugins.dims import symbols
from ..graph import Layer, Network, Tensor
from .aliasing import Aliasing
from .plan import MemoryPlan
from .regions import Region

ARENA = ("arena", 0)


@dataclass(frozen=True)
class Access:
    """What one layer reads and what it writes."""

    reads: Sequence[Region]
    writes: Sequence[Region]

    @property
    def nbytes(self) -> int:
        """Bytes from the first to the last of every region."""
        return sum(region.end - region.start for region in (*self.reads, *self.writes))


def accesses(
    network: Network, plan: MemoryPlan, aliasing: Mapping[Layer, Aliasing]
) -> list[Access]:
    """The accesses of every layer, in execution order.

    What is a view of an input is not written, and whoever reads it reads that input's memory.
    """

    def region(tensor: Tensor) -> Region | None:
        place = plan.placements.get(id(tensor))
        if place is None or place.desc.nbytes == 0:
            return None
        buffer = ARENA if place.where == "arena" else (place.where, place.buffer)
        return Region.of(buffer, place.offset, place.desc)

    def present(tensors: Collection[Tensor]) -> list[Region]:
        return [found for found in map(region, tensors) if found is not None]

    made = []
    for position, layer in enumerate(network.layers):
        inputs = present(layer.present_inputs)
        writes = [
            found for index, tensor in enumerate(layer.outputs)
            if (found := region(tensor)) is not None
            and not (index in aliasing[layer].views and any(map(found.overlaps, inputs)))
        ]  # fmt: skip
        if position in plan.workspaces:
            offset, size = plan.workspaces[position]
            writes.append(Region(ARENA, offset, offset + size))
        sizes = [
            network.size_tensors[name]
            for tensor in (*layer.present_inputs, *layer.outputs)
            for name in symbols(tensor.shape) if name in network.size_tensors
        ]  # fmt: skip
        made.append(Access([*inputs, *present(sizes)], writes))
    return made


def predecessors(layers: Sequence[Access], alone: Collection[int] = ()) -> list[int]:
    """For every layer, a mask of earlier layers that it must follow directly; what these follow
    may be missing. The layers at the positions `alone` run beside no other one."""
    found: list[int] = []
    reads: dict[tuple[str, int], list[tuple[int, Region]]] = {}
    writes: dict[tuple[str, int], list[tuple[int, Region]]] = {}
    barrier = -1
    for position, access in enumerate(layers):
        mask = 0 if barrier < 0 else 1 << barrier
        for region in access.reads:
            mask |= _touching(region, writes)
        for region in access.writes:
            mask |= _touching(region, writes) | _touching(region, reads)
        if position in alone:
            mask = (1 << position) - (1 << max(barrier, 0))
            barrier = position
        found.append(mask)
        for region in access.reads:
            reads.setdefault(region.buffer, []).append((position, region))
        for region in access.writes:
            _forget(region, reads)
            _forget(region, writes)
            writes.setdefault(region.buffer, []).append((position, region))
    return found


def _touching(
    region: Region, known: Mapping[tuple[str, int], list[tuple[int, Region]]]
) -> int:
    mask = 0
    for position, other in known.get(region.buffer, ()):
        if other.start < region.end and region.start < other.end and region.overlaps(other):
            mask |= 1 << position
    return mask


def _forget(written: Region, known: dict[tuple[str, int], list[tuple[int, Region]]]) -> None:
    """Leave out what later layers meet by way of this one."""
    entries = known.get(written.buffer)
    if entries:
        entries[:] = [entry for entry in entries if not written.covers(entry[1])]
