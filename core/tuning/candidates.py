"""The ways one layer can run: formats, tactics and further kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...plugin_registry import Registry
from ...plugins import (
    Combination,
    Format,
    KernelPlugin,
    LayerPlugin,
    Tactic,
    TacticRequest,
    TensorDesc,
)
from ..graph import Layer
from ..graph.build_descs import Concretise, build_desc

Descs = tuple[TensorDesc | None, ...]


@dataclass(frozen=True)
class Candidate:
    """One format assignment with one tactic."""

    inputs: tuple[TensorDesc | None, ...]
    outputs: tuple[TensorDesc, ...]
    tactic: Tactic
    kernel: str | None = None

    @property
    def layouts(self) -> tuple[Format | None, ...]:
        """The formats of all inputs and outputs."""
        return tuple(None if d is None else d.format for d in (*self.inputs, *self.outputs))


Offer = tuple[type[KernelPlugin] | None, Tactic]


def candidates(
    layer: Layer, formats: Sequence[Format], concretise: Concretise, threads: int,
    registry: Registry, max_workspace_size: int | None = None,
    others: Sequence[Concretise] = (),
) -> list[Candidate]:
    """Every accepted assignment of one format to the inputs and one to the outputs, with each
    of its tactics. Epilogue operands of the output's shape share its format.

    At the sizes of `others` there must be some tactic too where an epilogue has operands, as
    shapes may be equal by chance; and the limit of scratch memory holds there.
    """
    found: list[Candidate] = []
    asked: set[tuple[Format | None, ...]] = set()
    kernels: list[type[KernelPlugin]] = registry.kernels_for(layer.plugin.type)
    for before in formats:
        for after in formats:
            inputs, outputs = _assigned(layer, before, after, concretise)
            layouts = tuple(d.format if d is not None else None for d in (*inputs, *outputs))
            if layouts in asked:
                continue
            asked.add(layouts)
            offers = _offers(layer, inputs, outputs, kernels, threads)
            elsewhere = [_assigned(layer, before, after, other) for other in others]
            if layer.epilogue.operands and not all(
                _offers(layer, *descs, kernels, threads) for descs in elsewhere
            ):
                continue
            for kernel, tactic in offers:
                if max_workspace_size is None or all(
                    _workspace(layer, tactic, kernel, *descs) <= max_workspace_size
                    for descs in ((inputs, outputs), *elsewhere)
                ):
                    name = None if kernel is None else kernel.name
                    found.append(Candidate(inputs, outputs, tactic, name))
    return list(dict.fromkeys(found))


def _offers(
    layer: Layer, inputs: Descs, outputs: tuple[TensorDesc, ...],
    kernels: Sequence[type[KernelPlugin]], threads: int,
) -> list[Offer]:
    """The tactics of the layer and of further kernels, when the layer takes the formats."""
    given: Any = inputs
    if not accepts(layer.plugin, Combination(given[: len(layer.own_inputs)], outputs)):
        return []
    request = TacticRequest(given, outputs, layer.epilogue, thread_count=threads)
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


def _assigned(
    layer: Layer, before: Format, after: Format, concretise: Concretise
) -> tuple[Descs, tuple[TensorDesc, ...]]:
    """The inputs in one format, outputs and epilogue operands in another."""
    outputs = tuple(build_desc(t.desc, after, concretise) for t in layer.outputs)
    inputs: list[TensorDesc | None] = []
    own_count = len(layer.own_inputs)
    for index, tensor in enumerate(layer.inputs):
        if tensor is None:
            inputs.append(None)
            continue
        operand = index >= own_count
        desc = build_desc(tensor.desc, after if operand else before, concretise)
        if operand and tensor.shape != layer.output.shape:
            desc = replace(desc, format=Format.LINEAR)
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
