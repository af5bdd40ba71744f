"""The ways one layer can run: formats, tactics and further kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...plugin_registry import Registry
from ...plugins import Combination, Format, KernelPlugin, Tactic, TacticRequest, TensorDesc
from ...plugins.dims import Shape
from ..graph import Layer, Tensor

Concretise = Callable[[Shape], tuple[int, ...]]


@dataclass(frozen=True)
class Candidate:
    """One format assignment with one tactic."""

    inputs: tuple[TensorDesc | None, ...]
    outputs: tuple[TensorDesc, ...]
    tactic: Tactic
    kernel: str | None = None


def concrete_desc(tensor: Tensor, layout: Format, concretise: Concretise) -> TensorDesc:
    """A tensor's description at build shapes, in `layout` where that is possible."""
    shape = concretise(tensor.shape)
    fits = layout.accepts(shape) and not tensor.is_constant
    return replace(
        tensor.desc, shape=shape, format=layout if fits else Format.LINEAR,
        value=tensor.value if tensor.is_constant else None,
    )  # fmt: skip


def candidates(
    layer: Layer, formats: Sequence[Format], concretise: Concretise, threads: int,
    registry: Registry, max_workspace_size: int | None = None,
) -> list[Candidate]:
    """Every accepted assignment of one format to the inputs and one to the outputs, with each
    of its tactics. Epilogue operands of the output's shape share its format."""
    found: dict[tuple[object, ...], Candidate] = {}
    kernels: list[type[KernelPlugin]] = registry.kernels_for(layer.plugin.type)
    own_count = len(layer.own_inputs)
    for before in formats:
        for after in formats:
            outputs = tuple(concrete_desc(t, after, concretise) for t in layer.outputs)
            inputs: list[TensorDesc | None] = []
            for index, tensor in enumerate(layer.inputs):
                if tensor is None:
                    inputs.append(None)
                    continue
                operand = index >= own_count
                layout = after if operand else before
                desc = concrete_desc(tensor, layout, concretise)
                if operand and desc.shape != outputs[0].shape:
                    desc = replace(desc, format=Format.LINEAR)
                inputs.append(desc)
            layouts = tuple(d.format if d is not None else None for d in (*inputs, *outputs))
            if layouts in found:
                continue
            combination = Combination(tuple(inputs[:own_count]), outputs)  # type: ignore[arg-type]
            if not layer.plugin.supportsFormat(combination):
                continue
            request = TacticRequest(
                tuple(inputs), outputs, layer.epilogue, thread_count=threads  # type: ignore[arg-type]
            )
            offers: list[tuple[str | None, Tactic]] = [
                (None, tactic) for tactic in layer.plugin.getTactics(request)
            ]
            for kernel in kernels:
                offers += [
                    (kernel.name, t) for t in kernel().getTactics(layer.plugin, request)
                ]
            offers = [
                (name, tactic) for name, tactic in offers
                if _within(layer, tactic, inputs, outputs, max_workspace_size)
            ]  # fmt: skip
            for name, tactic in offers:
                found[(*layouts, name, tactic.name)] = Candidate(
                    tuple(inputs), outputs, tactic, name
                )
            if offers:
                found.setdefault(layouts, found[(*layouts, offers[0][0], offers[0][1].name)])
    return list(dict.fromkeys(found.values()))


def _within(
    layer: Layer, tactic: Tactic, inputs: list[TensorDesc | None],
    outputs: tuple[TensorDesc, ...], limit: int | None,
) -> bool:  # fmt: skip
    """Whether a tactic keeps to the scratch memory that the build allows one layer."""
    if limit is None:
        return True
    before = layer.plugin.tactic, layer.plugin.epilogue
    layer.plugin.setTactic(tactic)
    layer.plugin.setEpilogue(layer.epilogue)
    try:
        return layer.plugin.getWorkspaceSize(inputs, outputs) <= limit  # type: ignore[arg-type]
    finally:
        layer.plugin.setTactic(before[0])
        layer.plugin.setEpilogue(before[1])
