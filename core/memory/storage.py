"""Tensors grouped into storages, layer by layer, under a set of aliasing decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...plugins import SliceOf, TensorDesc, TensorView, ViewOf
from ...plugins.dims import evaluate_shape, symbols
from ..graph import Layer, Network, Tensor
from ..graph.naming import naming_layer


@dataclass(frozen=True)
class Aliasing:
    """What a layer shares: inputs living in a slice of its output, outputs that are views of
    an input, and the input whose buffer output 0 takes over."""

    slices: frozenset[int] = frozenset()
    views: frozenset[int] = frozenset()
    in_place: int | None = None


@dataclass
class Storage:
    """One range of memory. `kind` is arena, input or output; times are layer positions, and
    `users` is a mask of them: who reads or writes there. The position behind the last layer
    stands for what happens after all of them."""

    kind: str
    first: int
    last: int
    size: int = 0
    tensors: list[Tensor] = field(default_factory=list)
    users: int = 0


@dataclass
class Member:
    """A tensor's place in its storage, with the strides it has there."""

    storage: Storage
    offset: int
    desc: TensorDesc


class StorageMap:
    """Storages of a network at concrete sizes.

    `decide(layer, kind, index)` says whether a legal offer is taken; it is asked in a fixed
    order, so that equal decisions give equal maps.
    """

    def __init__(
        self,
        network: Network,
        sizes: Mapping[str, int],
        decide: Callable[[Layer, str, int], bool],
    ) -> None:
        self._network = network
        self._sizes = sizes
        self._decide = decide
        self._homes: dict[int, tuple[Tensor, TensorView]] = {}
        self.members: dict[int, Member] = {}
        self.storages: list[Storage] = []
        self._position = {id(layer): k for k, layer in enumerate(network.layers)}
        self._users = self._users_of_tensors()
        self._descs: dict[int, TensorDesc] = {}
        self._assign_slices()
        self._assign_storages()

    def desc(self, tensor: Tensor) -> TensorDesc:
        """A tensor's concrete description, dense."""
        found = self._descs.get(id(tensor))
        if found is None:
            value = tensor.value if tensor.is_constant else None
            shape = evaluate_shape(tensor.shape, self._sizes)
            found = replace(tensor.desc, shape=shape, value=value)
            self._descs[id(tensor)] = found
        return found

    # ---- slices, from the last layer to the first -----------------------------------------

    def _assign_slices(self) -> None:
        for layer in reversed(self._network.layers):
            for offer in self.offers(layer):
                if isinstance(offer, SliceOf) and self._slice_fits(layer, offer):
                    tensor, parent = layer.inputs[offer.input], layer.outputs[offer.output]
                    if tensor is not None and self._decide(layer, "slice", offer.input):
                        self._homes[id(tensor)] = (parent, self._slice(parent, tensor, offer))

    def offers(self, layer: Layer) -> Sequence[SliceOf | ViewOf]:
        """What the layer's plug-in offers to share at these sizes."""
        inputs = [None if t is None else self.desc(t) for t in layer.own_inputs]
        outputs = [self.desc(t) for t in layer.outputs]
        with naming_layer(layer.name, layer.plugin, "aliases()"):
            return layer.plugin.aliases(inputs, outputs)  # type: ignore[arg-type]

    def _slice(self, parent: Tensor, tensor: Tensor, offer: SliceOf) -> TensorView:
        desc = self.desc(parent)
        home = self._homes.get(id(parent))
        if home is not None:
            desc = replace(desc, strides=home[1].desc.strides)
        extent = self.desc(tensor).sizes[offer.axis]
        return TensorView(desc, 0).slice(offer.axis, offer.start, extent)

    def _slice_fits(self, layer: Layer, offer: SliceOf) -> bool:
        tensor, parent = layer.inputs[offer.input], layer.outputs[offer.output]
        if tensor is None or tensor.is_constant or tensor.is_output or id(tensor) in self._homes:
            return False
        producer = tensor.producer
        if producer is None or layer.inputs.count(tensor) != 1:
            return False
        mine, theirs = tensor.desc, parent.desc
        same = (mine.dtype, mine.format, mine.quantization) == (
            theirs.dtype, theirs.format, theirs.quantization,
        )  # fmt: skip
        if not same or _data_dependent(tensor) or _data_dependent(parent):
            return False
        if self._slice(parent, tensor, offer).desc.is_dense:
            return True
        tactic = producer.plugin.tactic
        if producer.outputs.index(tensor) not in tactic.strided_outputs:
            return False
        return self.strides_accepted(tensor, except_for=layer)

    @staticmethod
    def strides_accepted(tensor: Tensor, except_for: Layer | None = None) -> bool:
        """Whether every reader of the tensor takes it with gaps."""
        return all(
            k in use.plugin.tactic.strided_inputs
            for use in dict.fromkeys(tensor.uses)
            if use is not except_for
            for k, read in enumerate(use.inputs)
            if read is tensor
        )

    # ---- storages, from the first layer to the last ---------------------------------------

    def _assign_storages(self) -> None:
        end = len(self._network.layers)
        for tensor in self._network.inputs:
            self._new(tensor, "input", 0, end)
        for position, layer in enumerate(self._network.layers):
            views = {o.output: o for o in self.offers(layer) if isinstance(o, ViewOf)}
            for index, tensor in enumerate(layer.outputs):
                if id(tensor) in self.members:
                    continue
                if id(tensor) in self._homes:
                    self._join_home(tensor)
                elif tensor.is_output:
                    self._new(tensor, "output", position, end)
                elif index in views and self._view_fits(layer, views[index]) and self._decide(
                    layer, "view", index
                ):
                    self._join_view(layer, views[index])
                elif index == 0 and (source := self._in_place(layer, position)) is not None:
                    self._join(tensor, self.members[id(source)], 0, self.desc(tensor))
                else:
                    self._new(tensor, "arena", position, self._last_use(tensor))

    def _new(self, tensor: Tensor, kind: str, first: int, last: int) -> Member:
        storage = Storage(kind, first, last)
        self.storages.append(storage)
        member = Member(storage, 0, self.desc(tensor))
        self._join(tensor, member, 0, member.desc)
        return self.members[id(tensor)]

    def _join(self, tensor: Tensor, beside: Member, offset: int, desc: TensorDesc) -> None:
        storage = beside.storage
        member = Member(storage, beside.offset + offset, desc)
        self.members[id(tensor)] = member
        storage.tensors.append(tensor)
        storage.size = max(storage.size, member.offset + desc.nbytes)
        storage.last = max(storage.last, self._last_use(tensor))
        storage.users |= self._users.get(id(tensor), 0)
        if tensor.producer is not None:
            storage.first = min(storage.first, self._position[id(tensor.producer)])

    def _join_home(self, tensor: Tensor) -> None:
        parent, view = self._homes[id(tensor)]
        if id(parent) not in self.members:
            if id(parent) in self._homes:
                self._join_home(parent)
            else:
                first = self._position[id(tensor.producer)]
                kind = "output" if parent.is_output else "arena"
                last = self._last_use(parent)
                self._new(parent, kind, first, last)
        self._join(tensor, self.members[id(parent)], view.offset, view.desc)

    def _view_fits(self, layer: Layer, offer: ViewOf) -> bool:
        source, result = layer.inputs[offer.input], layer.outputs[offer.output]
        if source is None or source.is_constant or id(result) in self.members:
            return False
        if _data_dependent(source):
            return False
        if not self.members[id(source)].desc.is_dense:
            return False
        return offer.strides is None or self.strides_accepted(result)

    def _join_view(self, layer: Layer, offer: ViewOf) -> None:
        source, result = layer.inputs[offer.input], layer.outputs[offer.output]
        if source is not None:
            desc = replace(self.desc(result), strides=offer.strides)
            self._join(result, self.members[id(source)], offer.offset, desc)

    def _in_place(self, layer: Layer, position: int) -> Tensor | None:
        """The input whose buffer output 0 takes over, or None."""
        if id(layer.output) in self.members:
            return None
        tactic = layer.plugin.tactic
        offered = (
            [tactic.accumulates_into] if tactic.accumulates_into is not None
            else sorted(tactic.may_alias)
        )  # fmt: skip
        for index in offered:
            source = layer.inputs[index]
            if source is not None and self._dies_alone(source, layer, position) and self._decide(
                layer, "in_place", index
            ):
                return source
        return None

    def _dies_alone(self, source: Tensor, layer: Layer, position: int) -> bool:
        member = self.members.get(id(source))
        if member is None or member.storage.kind != "arena" or member.storage.last != position:
            return False
        mine, result = source.desc, layer.output.desc
        # Symbolic shapes: what is equal for a batch of 1 only must not be decided on.
        return (
            member.desc.is_dense
            and (mine.shape, mine.dtype, mine.format) == (result.shape, result.dtype, result.format)
            and layer.inputs.count(source) == 1
            and not any(
                self._overlaps(member, other) for other in layer.present_inputs
                if other is not source
            )
            and not _data_dependent(source)
        )

    def _overlaps(self, member: Member, other: Tensor) -> bool:
        """Whether another tensor lies in a member's bytes (both may be views of one)."""
        beside = self.members.get(id(other))
        if beside is None or beside.storage is not member.storage:
            return False
        before, after = sorted((member, beside), key=lambda item: item.offset)
        return before.offset + before.desc.nbytes > after.offset

    def _last_use(self, tensor: Tensor) -> int:
        """The position of the last layer that needs a tensor."""
        return max(self._users.get(id(tensor), 0).bit_length() - 1, 0)

    def _users_of_tensors(self) -> dict[int, int]:
        """The layers that need a tensor, as a mask, by identity."""
        end = len(self._network.layers)
        sizes = {name: id(tensor) for name, tensor in self._network.size_tensors.items()}
        users: dict[int, int] = {}

        def need(tensor: Tensor, position: int) -> None:
            users[id(tensor)] = users.get(id(tensor), 0) | 1 << position
            for name in symbols(tensor.shape) if sizes else ():
                if name in sizes:  # who reads a tensor may ask for its size
                    users[sizes[name]] = users.get(sizes[name], 0) | 1 << position

        for position, layer in enumerate(self._network.layers):
            for tensor in (*layer.outputs, *layer.present_inputs):
                need(tensor, position)
        for tensor in self._network.outputs:
            need(tensor, end)
        return users


def _data_dependent(tensor: Tensor) -> bool:
    return any(found.bound is not None for found in symbols(tensor.shape).values())
