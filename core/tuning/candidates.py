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


def candidates(
    layer: Layer, formats: Sequence[Format], concretise: Concretise, threads: int,
    registry: Registry, max_workspace_size: int | None = None,
) -> list[Candidate]:
    """Every accepted assignment of one format to the inputs and one to the outputs, with each
    of its tactics. Epilogue operands of the output's shape share its format."""
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
            own: Any = inputs[: len(layer.own_inputs)]
            if not accepts(layer.plugin, Combination(own, outputs)):
                continue
            given: Any = inputs
            request = TacticRequest(given, outputs, layer.epilogue, thread_count=threads)
            offers: list[tuple[type[KernelPlugin] | None, Tactic]] = [
                (None, tactic) for tactic in layer.plugin.getTactics(request)
            ]
            for kernel in kernels:
                offers += [(kernel, t) for t in kernel().getTactics(layer.plugin, request)]
            for kernel_or_none, tactic in offers:
                name = None if kernel_or_none is None else kernel_or_none.name
                candidate = Candidate(inputs, outputs, tactic, name)
                if max_workspace_size is None or (
                    _workspace(layer, candidate, kernel_or_none) <= max_workspace_size
                ):
                    found.append(candidate)
    return list(dict.fromkeys(found))


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
) -> tuple[tuple[TensorDesc | None, ...], tuple[TensorDesc, ...]]:
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
        if operand and desc.shape != outputs[0].shape:
            desc = replace(desc, format=Format.LINEAR)
        inputs.append(desc)
    return tuple(inputs), outputs


def _workspace(layer: Layer, candidate: Candidate, kernel: type[KernelPlugin] | None) -> int:
    """Scratch bytes of a candidate."""
    plugin, inputs, outputs = layer.plugin, candidate.inputs, candidate.outputs
    before = plugin.tactic, plugin.epilogue
    plugin.setTactic(candidate.tactic)
    plugin.setEpilogue(layer.epilogue)
    given: Any = inputs
    try:
        if kernel is not None:
            return kernel().getWorkspaceSize(plugin, given, outputs)
        return plugin.getWorkspaceSize(given, outputs)
    finally:
        plugin.setTactic(before[0])
        plugin.setEpilogue(before[1])
