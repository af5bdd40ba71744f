"""The ways one layer can run: types, formats, tactics and further kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...plugin_registry import Registry
from ...plugins import (
    Combination,
    DataType,
    DeviceError,
    Format,
    KernelPlugin,
    LayerPlugin,
    Tactic,
    TensorDesc,
)
from ..devices.target import Target
from ..graph import Layer, Tensor
from ..graph.build_descs import Concretise, Storage, build_desc
from .narrow_constants import NarrowConstants

Descs = tuple[TensorDesc | None, ...]

Place = tuple[DataType, Format]
"""Where a tensor is: its stored type and format."""


def place_of(desc: TensorDesc) -> Place:
    """The stored type and format of a tensor."""
    return (desc.dtype, desc.format)


@dataclass(frozen=True)
class Candidate:
    """One assignment of types and formats with one tactic."""

    inputs: tuple[TensorDesc | None, ...]
    outputs: tuple[TensorDesc, ...]
    tactic: Tactic
    kernel: str | None = None
    on_host: bool = False
    """Whether it runs on the host where the build is for another device."""

    @property
    def places(self) -> tuple[Place | None, ...]:
        """Where all inputs and outputs are."""
        return tuple(None if d is None else place_of(d) for d in (*self.inputs, *self.outputs))


def chosen_candidate(layer: Layer, concretise: Concretise) -> Candidate:
    """What was chosen for a layer, at the build's sizes."""

    def described(tensor: Tensor) -> TensorDesc:
        return build_desc(tensor.desc, Storage(tensor.format), concretise)

    inputs = tuple(None if t is None else described(t) for t in layer.inputs)
    outputs = tuple(map(described, layer.outputs))
    return Candidate(inputs, outputs, layer.plugin.tactic, layer.kernel, layer.on_host)


Offer = tuple[type[KernelPlugin] | None, Tactic]

GROWTH = 1.05
"""Growth of weights by packing that a build for little memory still takes: padded channels."""


@dataclass(frozen=True)
class Limits:
    """Memory that candidates may use. `workspace`: bytes of scratch memory, None for any;
    `weight_growth`: see Tactic, None for any; it gives way where nothing else would be left."""

    workspace: int | None = None
    weight_growth: float | None = None


def candidates(
    layer: Layer, storages: Sequence[Storage], concretise: Concretise, target: Target,
    registry: Registry, limits: Limits = Limits(),
    others: Sequence[Concretise] = (), constants: NarrowConstants | None = None,
) -> list[Candidate]:
    """Every accepted assignment of one storage to the inputs and one to the outputs, with each
    of its tactics. Epilogue operands of the output's shape share its storage.

    At the sizes of `others` there must be some tactic too where an epilogue has operands, as
    shapes may be equal by chance; and the limit of scratch memory holds there too. `constants`
    makes narrower copies of weights. A layer that has nothing for the target's device, or is
    marked `on_host`, gets its first way to run on the host, in float32 and the order of arrays.
    """
    if target.is_host:
        _check_host_kernels(layer, target, registry)
    if target.has_kernels_for(layer.plugin) and not layer.on_host:
        found = _candidates_on(
            layer, storages, concretise, target, registry, limits, others, constants
        )
        if target.is_host or any(c.tactic.accumulates_into is None for c in found):
            return found
    _check_host_kernels(layer, target, registry)
    found = _candidates_on(
        layer, [Storage()], concretise, target.host, registry, limits, others, None
    )
    found = [c for c in found if c.tactic.accumulates_into is None and c.kernel is None]
    found.sort(key=lambda c: (-c.tactic.priority, c.tactic.name))
    return [replace(candidate, on_host=True) for candidate in found[:1]]


def _check_host_kernels(layer: Layer, target: Target, registry: Registry) -> None:
    """Raise DeviceError for a layer that can only be recorded for other devices."""
    plugin, host = layer.plugin, target.host.device
    devices = {*plugin.devices, *(d for k in registry.kernels_for(plugin.type) for d in k.devices)}
    if not plugin.recordable or host in devices:
        return
    refused = "" if target.is_host else f", which take none of its tensors on {target.device!r}"
    raise DeviceError(
        f"layer {layer.name!r} ({plugin.type}) has kernels for {', '.join(sorted(devices))} "
        f"alone{refused}; it cannot run on the host: build for the device "
        f"{min(devices, default='?')!r}, or substitute the layer"
    )


def _candidates_on(
    layer: Layer, storages: Sequence[Storage], concretise: Concretise, target: Target,
    registry: Registry, limits: Limits, others: Sequence[Concretise],
    constants: NarrowConstants | None,
) -> list[Candidate]:  # fmt: skip
    kernels: list[type[KernelPlugin]] = [
        kernel for kernel in registry.kernels_for(layer.plugin.type)
        if target.device in kernel.devices
    ]  # fmt: skip
    asked: set[object] = set()
    found: list[Candidate] = []
    for before in storages:
        for after in storages:
            weights = _weights_types(layer, before, constants)
            for assign in [_Assign(layer, before, after, constants, w) for w in weights]:
                inputs, outputs = assign.at(concretise)
                places = tuple(None if d is None else place_of(d) for d in (*inputs, *outputs))
                if places in asked:
                    continue
                asked.add(places)
                if assign.narrows and not _tells_types(layer.plugin):
                    continue
                offers = _offers(layer, inputs, outputs, kernels, target)
                if assign.narrows:  # to save time, for which last resorts are no use
                    offers = [offer for offer in offers if offer[1].priority >= 0]
                elsewhere = [assign.at(other) for other in others]
                if layer.epilogue.operands and not all(
                    _offers(layer, *descs, kernels, target) for descs in elsewhere
                ):
                    continue
                for kernel, tactic in offers:
                    if limits.workspace is None or all(
                        _workspace(layer, tactic, kernel, *descs) <= limits.workspace
                        for descs in ((inputs, outputs), *elsewhere)
                    ):
                        name = None if kernel is None else kernel.name
                        found.append(Candidate(inputs, outputs, tactic, name))
                if offers:
                    break
    return _slim(list(dict.fromkeys(found)), limits.weight_growth)


def _slim(found: list[Candidate], weight_growth: float | None) -> list[Candidate]:
    """Those whose weights grow no more than that; else those that grow least."""
    usable = [c.tactic.weight_growth for c in found if c.tactic.accumulates_into is None]
    if weight_growth is None or not usable:
        return found
    most = max(weight_growth, min(usable))
    return [c for c in found if c.tactic.weight_growth <= most]


def _tells_types(plugin: LayerPlugin) -> bool:
    """Whether a layer says itself which types it takes; else they are those of the definition."""
    return type(plugin).supportsFormat is not LayerPlugin.supportsFormat


def _weights_types(
    layer: Layer, before: Storage, constants: NarrowConstants | None
) -> tuple[DataType, ...]:
    """Types to try for constants, the exact one first."""
    narrow = before.floats is not DataType.FLOAT32 and constants is not None
    return (DataType.FLOAT32, before.floats) if narrow else (DataType.FLOAT32,)


def _offers(
    layer: Layer, inputs: Descs, outputs: tuple[TensorDesc, ...],
    kernels: Sequence[type[KernelPlugin]], target: Target,
) -> list[Offer]:
    """The tactics of the layer and of further kernels, when the layer takes the formats."""
    combination = target.combination(inputs[: len(layer.own_inputs)], outputs)
    if not accepts(layer.plugin, combination):
        return []
    request = target.request(inputs, outputs, layer.epilogue)
    found: list[Offer] = [(None, tactic) for tactic in layer.plugin.getTactics(request)]
    for kernel in kernels:
        found += [(kernel, tactic) for tactic in kernel().getTactics(layer.plugin, request)]
    return found


def accepts(plugin: LayerPlugin, combination: Combination) -> bool:
    """Whether a layer takes this assignment. Python sees channel blocks as no array, so a layer
    that runs there is not asked about them."""
    descs = (*combination.inputs, *combination.outputs)
    blocked = any(d is not None and d.format is Format.CHANNELS_BLOCKED_16 for d in descs)
    if blocked and not plugin.recordable:
        return False
    return plugin.supportsFormat(combination)


@dataclass(frozen=True)
class _Assign:
    """The inputs in one storage, outputs and epilogue operands in another."""

    layer: Layer
    before: Storage
    after: Storage
    constants: NarrowConstants | None
    weights: DataType

    @property
    def narrows(self) -> bool:
        """Whether floats may be in a narrower type than the definition's."""
        return {self.before.floats, self.after.floats} != {DataType.FLOAT32}

    def at(self, concretise: Concretise) -> tuple[Descs, tuple[TensorDesc, ...]]:
        """All descriptions at the given sizes."""
        layer, after = self.layer, self.after
        outputs = tuple(build_desc(t.desc, after, concretise) for t in layer.outputs)
        inputs: list[TensorDesc | None] = []
        own_count = len(layer.own_inputs)
        for index, tensor in enumerate(layer.inputs):
            if tensor is None:
                inputs.append(None)
                continue
            operand = index >= own_count
            desc = build_desc(tensor.desc, after if operand else self.before, concretise)
            if operand and tensor.shape != layer.output.shape:
                desc = replace(desc, format=Format.LINEAR)
            if self.constants is not None and not operand:
                desc = self.constants.described(tensor, desc, self.weights)
            inputs.append(desc)
        return tuple(inputs), outputs


def _workspace(
    layer: Layer, tactic: Tactic, kernel: type[KernelPlugin] | None, inputs: Descs,
    outputs: tuple[TensorDesc, ...],
) -> int:
    """Scratch bytes of a tactic."""
    plugin = layer.plugin
    before = plugin.tactic, plugin.epilogue
    plugin.setTactic(tactic)
    plugin.setEpilogue(layer.epilogue)
    given: Any = inputs
    try:
        if kernel is not None:
            return kernel().getWorkspaceSize(plugin, given, outputs)
        return plugin.getWorkspaceSize(given, outputs)
    finally:
        plugin.setTactic(before[0])
        plugin.setEpilogue(before[1])
