"""Vertical fusion: pointwise layers become epilogues of the layers before them.

Any layer whose tactics accept the epilogue takes part; a pointwise layer itself accepts
others behind it, so chains become one pass even where nothing before them can take them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...plugins import (
    DataType,
    Epilogue,
    EpilogueStep,
    Expression,
    Format,
    Input,
    Tactic,
)
from ...plugins.expression import inputs_of, rename
from ..devices.target import Target
from ..explanation import Note
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise, float_desc
from ..graph.naming import naming_layer
from ..tuning.candidates import accepts
from .fusion_timing import Comparison, FusionTiming, Region
from .hosting import bodies_of, runs_on_host

MAXIMUM_STEPS = 16


def fuse_epilogues(
    network: Network, formats: list[Format], concretise: Concretise, target: Target,
    report: Callable[[str], None] = lambda line: None, others: Sequence[Concretise] = (),
    timing: FusionTiming | None = None,
) -> None:
    """Fuse in place, from first to last layer, what some tactic takes at the build's sizes and
    at those of `others`, unless `timing` finds it faster apart."""
    for layer in list(network.layers):
        inside = target.host if runs_on_host(layer, target) else target
        for body in bodies_of(layer):
            fuse_epilogues(body, formats, concretise, inside, report, others, timing)
    fusion = _Fusion(network, formats, [concretise, *others], target, report, timing)
    for earlier_too in (False, True):
        for layer in list(network.layers):
            while layer in network.layers and fusion.absorb(layer, earlier_too):
                pass
    fusion.explain_the_rest()


class _Fusion:
    """Fusion within one network."""

    def __init__(
        self, network: Network, formats: list[Format], sizes: Sequence[Concretise], target: Target,
        report: Callable[[str], None], timing: FusionTiming | None,
    ) -> None:  # fmt: skip
        self._network = network
        self._formats = formats
        self._sizes = sizes
        self._target = target
        self._report = report
        self._timing = timing
        self._refused: set[tuple[Layer, Layer]] = set()
        """(layer, the one behind it) where no tactic takes both."""

    def absorb(self, layer: Layer, earlier_too: bool) -> bool:
        """Take over the layer behind `layer`, if all agree. Of two layers that could take a
        sum, only the later one does (see `_order`), unless `earlier_too`."""
        region = _region(layer)
        if region is None:
            return False
        if (layer, region.consumer) in self._refused:
            return False
        if not earlier_too and self._other_one_takes(region):
            return False
        if not self._accepted(region):
            text = f"{layer.plugin.type} {layer.name} has no tactic that takes it"
            self._refuse(region, Note(region.consumer.name, "not fused", text, layer=layer.name))
            return False
        times = None if self._timing is None else self._timing.compare(region)
        if times is not None and times.is_better_apart:
            text = f"faster behind {layer.name} than in it: {_told(times)}"
            facts = {"layer": layer.name, "seconds": [times.fused, times.apart]}
            self._refuse(region, Note(region.consumer.name, "not fused", text, **facts))
            return False
        self._fuse(region, times)
        return True

    def _refuse(self, region: Region, note: Note) -> None:
        self._refused.add((region.layer, region.consumer))
        self._report(note)

    def explain_the_rest(self) -> None:
        """Say of every pointwise layer that is left, and that nobody was asked about, why."""
        asked = {consumer for _, consumer in self._refused}
        for layer in self._network.layers:
            with naming_layer(layer.name, layer.plugin, "pointwise()"):
                is_pointwise = layer.plugin.pointwise() is not None
            if is_pointwise and layer not in asked and len(layer.outputs) == 1:
                text = f"a layer of its own: {_why_alone(layer)}"
                self._report(Note(layer.name, "not fused", text))

    def _other_one_takes(self, region: Region) -> bool:
        """Whether the maker of an operand, which runs later, can take the consumer: by then the
        other operands exist, and this layer's result is one of them."""
        here = self._order(region.layer)
        for operand in region.operands:
            producer = operand.producer
            if producer is None or self._order(producer) < here:
                continue
            other = _region(producer)
            if other is not None and other.consumer is region.consumer and self._accepted(other):
                return True
        return False

    def _order(self, layer: Layer) -> tuple[int, int]:
        """When a layer runs. Beside each other, as on a GPU, the end of the longer branch comes
        last, though its layers may be listed first."""
        position = self._network.layers.index(layer)
        return (0 if self._target.is_host else _depth(layer), position)

    def _accepted(self, region: Region) -> bool:
        with naming_layer(region.layer.name, region.layer.plugin, "asking about an epilogue"):
            return any(
                all(self._offered(region, layout, concretise) for concretise in self._sizes)
                for layout in self._formats
            )

    def _offered(self, region: Region, layout: Format, concretise: Concretise) -> bool:
        """Whether there is a tactic with the longer epilogue; on a GPU, which tells less of how
        fast they are before they are timed, none that is a last resort where others would do."""
        layer, result = region.layer, region.consumer.output
        longer = self._tactics(
            layer, layer.epilogue.then(region.step), region.operands, result, layout, concretise
        )
        if self._target.is_host or not longer or any(t.priority >= 0 for t in longer):
            return bool(longer)
        now = self._tactics(layer, layer.epilogue, (), layer.output, layout, concretise)
        return all(tactic.priority < 0 for tactic in now)

    def _tactics(
        self, layer: Layer, epilogue: Epilogue, operands: Sequence[Tensor], result: Tensor,
        layout: Format, concretise: Concretise,
    ) -> list[Tactic]:
        """What a layer offers in float32, but for what adds into an input."""
        own: Any = tuple(
            None if t is None else float_desc(t.desc, layout, concretise)
            for t in layer.own_inputs
        )
        output = float_desc(replace(result.desc, value=None), layout, concretise)
        if not self._target.has_kernels_for(layer.plugin) or not accepts(
            layer.plugin, self._target.combination(own, (output,))
        ):
            return []
        read = [
            float_desc(t.desc, layout if t.shape == result.shape else Format.LINEAR, concretise)
            for t in (*layer.inputs[len(own) :], *operands)
            if t is not None
        ]
        request = self._target.request((*own, *read), (output,), epilogue)
        return [t for t in layer.plugin.getTactics(request) if t.accumulates_into is None]

    def _fuse(self, region: Region, times: Comparison | None) -> None:
        network = self._network
        layer, consumer, step, operands = region
        output, result = layer.output, consumer.output
        layer.epilogue = layer.epilogue.then(step)
        layer.append_inputs(operands)
        layer.fused.append(consumer.name)
        text, facts = f"fused into {layer.name}", {}
        if times is not None:
            text, facts = f"{text}: {_told(times)}", {"seconds": [times.fused, times.apart]}
        self._report(Note(consumer.name, "fused", text, layer=layer.name, **facts))
        network.replace_tensor(result, output)
        output.dtype, output.shape = result.dtype, result.shape
        output.quantization = result.quantization
        network.remove_layer(consumer)
        network.rename_tensor(output, result.name)
        here = network.layers.index(layer)
        if any(t.producer in network.layers[here:] for t in operands if t.producer is not None):
            network.sort_layers()


def _told(times: Comparison) -> str:
    text = f"{times.fused * 1e6:.1f} us fused, {times.apart * 1e6:.1f} us apart"
    return f"{text}, where {', '.join(times.lost)} can run" if times.lost else text


def _why_alone(layer: Layer) -> str:
    """Why none of the layers before a pointwise one could be asked to take it."""
    reasons = []
    for tensor in layer.present_inputs:
        before = tensor.producer
        if tensor.is_constant:
            continue
        if before is None:
            reasons.append(f"{tensor.name} comes from outside")
        elif tensor.only_consumer is None:
            others = [use.name for use in dict.fromkeys(tensor.uses) if use is not layer]
            others += ["whoever uses the network"] if tensor.is_output else []
            readers = " and ".join(others) or "twice by it"
            reasons.append(f"{tensor.name} is also read by {readers}")
        elif tensor.shape != layer.output.shape:
            reasons.append(f"{tensor.name} is broadcast")
        elif len(before.outputs) > 1:
            reasons.append(f"{before.name} has several outputs")
        elif len(before.epilogue.steps) >= MAXIMUM_STEPS:
            reasons.append(f"{before.name} has taken {MAXIMUM_STEPS} steps already")
        elif not _keeps_numbers(before, layer):
            reasons.append(f"{tensor.name} holds whole numbers, which storing may cut off")
        else:
            reasons.append(f"what else it reads depends on {tensor.name}")
    return "; ".join(reasons) or "it reads constants alone"


def _region(layer: Layer) -> Region | None:
    """What could be fused behind a layer, or None."""
    if len(layer.outputs) != 1 or len(layer.epilogue.steps) >= MAXIMUM_STEPS:
        return None
    carried = layer.output
    consumer = carried.only_consumer
    if not isinstance(consumer, Layer) or len(consumer.outputs) != 1 or consumer.epilogue:
        return None
    with naming_layer(consumer.name, consumer.plugin, "pointwise()"):
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
    if Input(0) not in names.values() or not _keeps_numbers(layer, consumer):
        return None
    if any(_depends_on(operand, layer) for operand in operands):
        return None
    step = EpilogueStep(rename(expression, names), len(operands), consumer.name)
    return Region(layer, consumer, step, operands)


def _keeps_numbers(layer: Layer, consumer: Layer) -> bool:
    """Whether storing the value between two layers can be left out.

    Storing wraps or cuts off integers, which one pass over both layers would not do; and
    what compares integers must not be computed in floating point for the sake of a later
    operand.
    """
    kept = layer.output.dtype
    if kept.is_float:
        return True
    if kept is not DataType.BOOL:
        return False
    before = any(t.dtype.is_integer for t in layer.present_inputs)
    after = (*consumer.present_inputs, consumer.output)
    return not (before and any(t.dtype.is_float for t in after))


def _depth(layer: Layer) -> int:
    """How many layers must run before this one, one after the other."""
    found: dict[Layer, int] = {}
    stack = [layer]
    while stack:
        top = stack[-1]
        before = [t.producer for t in top.present_inputs if t.producer is not None]
        waiting = [producer for producer in before if producer not in found]
        if waiting:
            stack += waiting
        else:
            found[stack.pop()] = 1 + max((found[producer] for producer in before), default=-1)
    return found[layer]


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
