"""Offsets in one arena: storages that live at different times share memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import gcd
from typing import Any

from ...plugins import ALIGNMENT, TensorDesc
from ..graph import Layer, Network, Tensor
from ..graph.naming import naming_layer
from .aliasing import Aliasing, permits
from .lanes import members
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


Apart = Callable[[Storage, Storage], bool]
"""Whether one storage is done with before the other is written, so that they may share memory."""


def plan_memory(
    network: Network, sizes: Mapping[str, int], aliasing: Mapping[Layer, Aliasing]
) -> MemoryPlan:
    """Place every tensor for concrete sizes under the build's aliasing decisions."""
    return MemoryPlanner(network, sizes, aliasing).plan()


class MemoryPlanner:
    """What must be placed for concrete sizes under the build's aliasing decisions."""

    def __init__(
        self, network: Network, sizes: Mapping[str, int], aliasing: Mapping[Layer, Aliasing]
    ) -> None:
        self._network = network
        self._found = StorageMap(
            network, sizes, lambda layer, kind, index: permits(aliasing[layer], kind, index)
        )
        self._ranges: list[tuple[Storage, int | None]] = [
            (storage, None) for storage in self._found.storages if storage.kind == "arena"
        ]
        for position, layer in enumerate(network.layers):
            inputs = [None if t is None else self._stored(t) for t in layer.inputs]
            outputs = [self._stored(t) for t in layer.outputs]
            size = workspace_size(network, layer, inputs, outputs)
            if size:
                scratch = Storage("arena", position, position, size, users=1 << position)
                self._ranges.append((scratch, position))

    def plan(self, before: Sequence[int] | None = None) -> MemoryPlan:
        """A place for everything.

        `before`, where layers run beside each other: for each of them, and for the end, a mask
        of the layers that are done when it begins (`Lanes.before`).
        """
        plan = MemoryPlan()
        ranges = self._ranges
        offsets = _pack([s for s, _ in ranges], _are_apart if before is None else _Beside(before))
        plan.lifetimes = [(s.first, s.last, s.size, offsets[id(s)]) for s, _ in ranges]
        plan.arena_size = max((offsets[id(s)] + _aligned(s.size) for s, _ in ranges), default=0)
        plan.live_maximum = _live_maximum([s for s, _ in ranges], len(self._network.layers))
        for storage, owner in ranges:
            if owner is not None:
                plan.workspaces[owner] = (offsets[id(storage)], storage.size)
        self._place(plan, offsets)
        return plan

    def _place(self, plan: MemoryPlan, offsets: Mapping[int, int]) -> None:
        network = self._network
        buffers = {id(t): k for k, t in enumerate(network.inputs)}
        buffers.update({id(t): k for k, t in enumerate(network.outputs)})
        for tensor in network.tensors.values():
            member = self._found.members.get(id(tensor))
            if member is None:
                continue
            storage = member.storage
            base = offsets[id(storage)] if storage.kind == "arena" else 0
            buffer = 0 if storage.kind == "arena" else buffers[id(storage.tensors[0])]
            offset = base + member.offset
            alignment = _alignment(storage.kind, offset, member.desc)
            desc = replace(member.desc, alignment=alignment)
            plan.placements[id(tensor)] = Placement(storage.kind, buffer, offset, desc)
            if storage.kind == "arena":
                plan.sum_of_tensors += member.desc.nbytes

    def _stored(self, tensor: Tensor) -> TensorDesc:
        member = self._found.members.get(id(tensor))
        return self._found.desc(tensor) if member is None else member.desc


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


def _alignment(kind: str, offset: int, desc: TensorDesc) -> int:
    """Bytes that a tensor's address is a multiple of. Users' arrays begin at any element."""
    base = ALIGNMENT if kind == "arena" else desc.dtype.itemsize
    return gcd(base, offset)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _are_apart(one: Storage, other: Storage) -> bool:
    """Whether they live at different times, with one layer at a time."""
    return other.first > one.last or one.first > other.last


class _Beside:
    """The same where layers run beside each other."""

    def __init__(self, before: Sequence[int]) -> None:
        self._before = before
        self._done: dict[int, int] = {}

    def __call__(self, one: Storage, other: Storage) -> bool:
        return not (one.users & ~self._done_before(other)) or not (
            other.users & ~self._done_before(one)
        )

    def _done_before(self, storage: Storage) -> int:
        """The layers that are done before the first of a storage's users begins, whichever of
        them that is."""
        if storage.users not in self._done:
            common = -1
            for user in members(storage.users):
                common &= self._before[user]
            self._done[storage.users] = common
        return self._done[storage.users]


def _pack(storages: list[Storage], apart: Apart = _are_apart) -> dict[int, int]:
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
            if not apart(storage, other)
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
