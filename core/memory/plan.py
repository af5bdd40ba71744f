"""Offsets in one arena: storages that live at different times share memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import gcd
from typing import Any

from ...plugins import ALIGNMENT, TensorDesc
from ..graph import Layer, Network, Tensor
from ..graph.naming import naming_layer
from .aliasing import Aliasing, permits
from .storage import Storage, StorageMap


@dataclass(frozen=True)
class Placement:
    """Where a tensor lies. `where` is arena, input or output; `buffer` counts inputs and
    outputs; `desc` has the strides it is stored with."""

    where: str
    buffer: int
    offset: int
    desc: TensorDesc


@dataclass
class MemoryPlan:
    """Placements of all tensors that are not constants, and of the layers' workspaces."""

    placements: dict[int, Placement] = field(default_factory=dict)
    workspaces: dict[int, tuple[int, int]] = field(default_factory=dict)
    arena_size: int = 0
    live_maximum: int = 0
    """The most bytes alive at once: no arena can be smaller."""
    sum_of_tensors: int = 0
    """Bytes without any sharing."""
    lifetimes: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(first layer, last layer, bytes, offset) of every range in the arena."""

    def of(self, tensor: Tensor) -> Placement:
        """The placement of a tensor."""
        return self.placements[id(tensor)]


def plan_memory(
    network: Network, sizes: Mapping[str, int], aliasing: Mapping[Layer, Aliasing]
) -> MemoryPlan:
    """Place every tensor for concrete sizes under the build's aliasing decisions."""
    found = StorageMap(
        network, sizes, lambda layer, kind, index: permits(aliasing[layer], kind, index)
    )
    plan = MemoryPlan()
    ranges: list[tuple[Storage, int | None]] = [
        (storage, None) for storage in found.storages if storage.kind == "arena"
    ]
    for position, layer in enumerate(network.layers):
        inputs = [None if t is None else _stored(found, t) for t in layer.inputs]
        outputs = [_stored(found, t) for t in layer.outputs]
        size = workspace_size(network, layer, inputs, outputs)
        if size:
            ranges.append((Storage("arena", position, position, size), position))
    offsets = _pack([storage for storage, _ in ranges])
    plan.lifetimes = [
        (s.first, s.last, s.size, offsets[id(s)]) for s, _ in ranges
    ]  # fmt: skip
    plan.arena_size = max((offset + _aligned(s.size) for (s, _), offset in zip(
        ranges, (offsets[id(s)] for s, _ in ranges), strict=True)), default=0)  # fmt: skip
    plan.live_maximum = _live_maximum([s for s, _ in ranges], len(network.layers))
    for storage, owner in ranges:
        if owner is not None:
            plan.workspaces[owner] = (offsets[id(storage)], storage.size)
    buffers = {id(t): k for k, t in enumerate(network.inputs)}
    buffers.update({id(t): k for k, t in enumerate(network.outputs)})
    for tensor in network.tensors.values():
        member = found.members.get(id(tensor))
        if member is None:
            continue
        storage = member.storage
        base = offsets[id(storage)] if storage.kind == "arena" else 0
        buffer = 0 if storage.kind == "arena" else buffers[id(storage.tensors[0])]
        offset = base + member.offset
        desc = replace(member.desc, alignment=_alignment(storage.kind, offset, member.desc))
        plan.placements[id(tensor)] = Placement(storage.kind, buffer, offset, desc)
        if storage.kind == "arena":
            plan.sum_of_tensors += member.desc.nbytes
    return plan


def workspace_size(
    network: Network, layer: Layer,
    inputs: list[TensorDesc | None], outputs: list[TensorDesc],
) -> int:  # fmt: skip
    """Scratch bytes of a layer, asked of the kernel that runs it."""
    given: Any = inputs
    with naming_layer(layer.name, layer.plugin, "getWorkspaceSize()"):
        if layer.kernel is not None:
            kernel = network.registry.get("kernels", layer.kernel)()
            return int(kernel.getWorkspaceSize(layer.plugin, given, outputs))
        return int(layer.plugin.getWorkspaceSize(given, outputs))


def _stored(found: StorageMap, tensor: Tensor) -> TensorDesc:
    member = found.members.get(id(tensor))
    return found.desc(tensor) if member is None else member.desc


def _alignment(kind: str, offset: int, desc: TensorDesc) -> int:
    """Bytes that a tensor's address is a multiple of. Users' arrays begin at any element."""
    base = ALIGNMENT if kind == "arena" else desc.dtype.itemsize
    return gcd(base, offset)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _pack(storages: list[Storage]) -> dict[int, int]:
    """Offsets by greedy best fit, the largest range first."""
    offsets: dict[int, int] = {}
    placed: list[Storage] = []
    order = sorted(
        range(len(storages)), key=lambda k: (-storages[k].size, storages[k].first, k)
    )
    for storage in (storages[k] for k in order):
        size = _aligned(storage.size)
        neighbours = sorted(
            (offsets[id(other)], _aligned(other.size))
            for other in placed
            if other.first <= storage.last and storage.first <= other.last
        )
        best, best_gap, end = None, None, 0
        for start, length in neighbours:
            gap = start - end
            if gap >= size and (best_gap is None or gap < best_gap):
                best, best_gap = end, gap
            end = max(end, start + length)
        offsets[id(storage)] = end if best is None else best
        placed.append(storage)
    return offsets


def _live_maximum(storages: list[Storage], layers: int) -> int:
    return max(
        (
            sum(_aligned(s.size) for s in storages if s.first <= position <= s.last)
            for position in range(layers)
        ),
        default=0,
    )
