"""Vertical fusion: pointwise layers become epilogues of the layers before them.

Any layer whose tactics accept the epilogue takes part; a pointwise layer itself accepts
others behind it, so chains become one pass even where nothing before them can take them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...plugins import (
    Combination,
    EpilogueStep,
    Expression,
    Format,
    Input,
    TacticRequest,
    TensorDesc,
)
from ...plugins.dims import Shape
from ...plugins.expression import inputs_of, rename
from ..graph import Layer, Network, Tensor
from .copying import graph_attributes

Concretise = Callable[[Shape], tuple[int, ...]]
MAXIMUM_STEPS = 16


def fuse_epilogues(
    network: Network, formats: list[Format], concretise: Concretise, threads: int,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Fuse in place, from first to last layer."""
    for layer in list(network.layers):
        for body in graph_attributes(layer.plugin).values():
            fuse_epilogues(body, formats, concretise, threads, report)
    for earlier_too in (False, True):
        for layer in list(network.layers):
            while layer in network.layers and _absorb(
                network, layer, formats, concretise, threads, report, earlier_too
            ):
                pass


def _absorb(
    network: Network, layer: Layer, formats: list[Format], concretise: Concretise, threads: int,
    report: Callable[[str], None], earlier_too: bool,
) -> bool:
    if len(layer.outputs) != 1 or len(layer.epilogue.steps) >= MAXIMUM_STEPS:
        return False
    output = layer.output
    consumer = output.only_consumer
    if not isinstance(consumer, Layer) or len(consumer.outputs) != 1 or consumer.epilogue:
        return False
    found = _step(consumer, output)
    if found is None:
        return False
    step, operands = found
    if any(_depends_on(operand, layer) for operand in operands):
        return False
    if not earlier_too and _later_producer_could_take(network, layer, operands):
        return False
    if not _accepted(layer, step, operands, consumer.output, formats, concretise, threads):
        report(f"{consumer.name}: {layer.plugin.type} {layer.name} has no tactic that takes it")
        return False
    layer.epilogue = layer.epilogue.then(step)
    layer.append_inputs(operands)
    layer.fused.append(consumer.name)
    result = consumer.output
    report(f"{consumer.name}: fused into {layer.name}")
    network.replace_tensor(result, output)
    output.dtype, output.shape = result.dtype, result.shape
    output.quantization = result.quantization or None
    network.remove_layer(consumer)
    network.rename_tensor(output, result.name)
    network.sort_layers()
    return True


def _step(consumer: Layer, carried: Tensor) -> tuple[EpilogueStep, list[Tensor]] | None:
    """The consumer as an epilogue of the layer that makes `carried`, or None."""
    expression = consumer.plugin.pointwise()
    if expression is None or consumer.output.shape != carried.shape:
        return None
    names: dict[Input, Expression] = {}
    operands: list[Tensor] = []
    for leaf in inputs_of(expression):
        tensor = consumer.inputs[leaf.index]
        if tensor is None or (tensor is carried and leaf.axis is not None):
            return None
        if tensor is carried:
            names[leaf] = Input(0)
            continue
        if not any(tensor is known for known in operands):
            operands.append(tensor)
        position = next(k for k, known in enumerate(operands) if known is tensor)
        names[leaf] = Input(1 + position, leaf.axis)
    if Input(0) not in names.values():
        return None
    return EpilogueStep(rename(expression, names), len(operands), consumer.name), operands


def _depends_on(tensor: Tensor, layer: Layer) -> bool:
    pending, seen = [tensor], set()
    while pending:
        producer = pending.pop().producer
        if producer is layer:
            return True
        if producer is not None and id(producer) not in seen:
            seen.add(id(producer))
            pending += producer.present_inputs
    return False


def _later_producer_could_take(
    network: Network, layer: Layer, operands: list[Tensor]
) -> bool:
    """Of two producers of a sum, the later one takes it: the other operand exists by then."""
    position = {id(item): k for k, item in enumerate(network.layers)}
    here = position[id(layer)]
    for operand in operands:
        producer = operand.producer
        if producer is None or operand.shape != layer.output.shape:
            continue
        late = position[id(producer)] > here
        if late and len(operand.uses) == 1 and not operand.is_output:
            return True
    return False


def _accepted(
    layer: Layer, step: EpilogueStep, operands: list[Tensor], result: Tensor,
    formats: list[Format], concretise: Concretise, threads: int,
) -> bool:
    """Whether some format assignment offers a tactic with the longer epilogue."""
    tensors = [*layer.inputs, *operands]
    shape = concretise(result.shape)
    for layout in formats:
        inputs = [None if t is None else _at(t.desc, layout, concretise) for t in tensors]
        output = _at(replace(result.desc, value=None), layout, concretise)
        own = inputs[: len(layer.own_inputs)]
        combination = Combination(tuple(own), (output,))  # type: ignore[arg-type]
        if output.shape != shape or not layer.plugin.supportsFormat(combination):
            continue
        request = TacticRequest(
            tuple(inputs), (output,), layer.epilogue.then(step), thread_count=threads  # type: ignore[arg-type]
        )
        if any(t.accumulates_into is None for t in layer.plugin.getTactics(request)):
            return True
    return False


def _at(desc: TensorDesc, layout: Format, concretise: Concretise) -> TensorDesc:
    shape = concretise(desc.shape)
    fits = layout.accepts(shape) and not desc.is_constant
    # Scales are the next pass's business: as far as fusion goes everything is in float.
    return replace(
        desc, shape=shape, format=layout if fits else Format.LINEAR, quantization=None
    )
