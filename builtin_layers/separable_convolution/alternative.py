"""Convolutions of a graph as one separable convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np

from ...plugins import (
    DataType,
    Epilogue,
    EpilogueStep,
    LayerNode,
    LayerPlugin,
    Patch,
    TensorNode,
)
from ..activation import NONE, activation_of
from .layer import SeparableConvolution

LEAST_BYTES = 4 << 20
"""Of what lies between in float32: less stays in the caches anyway, and separate convolutions are
as fast or faster."""


@dataclass(frozen=True)
class _Convolved:
    """A convolution in the graph and the activation next to it, as the layer's attributes say."""

    layer: LayerNode
    activation: tuple[float, ...]


def separable_forms(layer: LayerPlugin, view: LayerNode) -> list[Patch]:
    """What stands before and behind `view`, a depthwise convolution, in one layer with it: all
    three convolutions, or it and the one behind."""
    values = layer.attribute_values
    if not _is_plain(view) or not _is_depthwise(view) or any(n != 1 for n in values["dilations"]):
        return []
    if _bytes_between(view) < LEAST_BYTES:
        return []
    behind = _behind(layer, view)
    if behind is None:
        return []
    before = _before(layer, view)
    forms = [_form(view, behind, None)]
    return forms if before is None else [*forms, _form(view, behind, before)]


def _bytes_between(view: LayerNode) -> float:
    """Of the larger of what a depthwise convolution reads and writes; infinite where a size is
    open, so that a measurement decides."""
    tensors = [node for node in (view.inputs[0], view.outputs[0]) if node is not None]
    shapes = [[n if isinstance(n, int) else inf for n in node.desc.shape] for node in tensors]
    return max(prod(shape) for shape in shapes) * DataType.FLOAT32.itemsize


def _form(view: LayerNode, behind: _Convolved, before: _Convolved | None) -> Patch:
    patch = Patch()
    values = view.plugin.attribute_values
    made = SeparableConvolution(
        strides=values["strides"], padding=values["padding"],
        depthwise_activation=behind.activation,
        expansion_activation=() if before is None else before.activation,
    )  # fmt: skip
    first = view if before is None else before.layer
    name = behind.layer.name

    def parameters(convolution: LayerNode) -> list[Any]:
        weights, bias = convolution.inputs[1], _bias(convolution)
        if bias is not None:
            return [weights, bias]
        zeros = np.zeros(_weights(convolution).shape[0], np.float32)
        return [weights, patch.add_constant(f"{convolution.name}.bias", zeros)]

    inputs = [first.inputs[0], *parameters(view), *parameters(behind.layer)]
    if before is not None:
        inputs += parameters(before.layer)
    (result,) = patch.add_layer(made, inputs, f"{name}.separable")
    patch.replace(behind.layer.outputs[0], result)
    return patch


def _behind(layer: LayerPlugin, view: LayerNode) -> _Convolved | None:
    """The 1x1 convolution that alone reads what `view` computes, or its activation."""
    reader = view.outputs[0].only_consumer
    activation: tuple[float, ...] | None = ()
    if reader is not None and reader.plugin.type != layer.type:
        activation = _activation(reader)
        reader = reader.outputs[0].only_consumer
    if reader is None or activation is None or not _is_pointwise(layer, reader):
        return None
    return _Convolved(reader, activation)


def _before(layer: LayerPlugin, view: LayerNode) -> _Convolved | None:
    """The 1x1 convolution whose result, or its activation, `view` alone reads."""
    source = view.inputs[0]
    activation: tuple[float, ...] | None = ()
    writer = _only_writer(source)
    if writer is not None and writer.plugin.type != layer.type:
        activation = _activation(writer)
        writer = _only_writer(writer.inputs[0])
    if writer is None or activation is None or not _is_pointwise(layer, writer):
        return None
    return _Convolved(writer, activation)


def _only_writer(tensor: TensorNode | None) -> LayerNode | None:
    if tensor is None or tensor.only_consumer is None:
        return None
    return tensor.producer


def _activation(node: LayerNode) -> tuple[float, ...] | None:
    """What a layer does as an activation; None where it does anything else."""
    expression = node.plugin.pointwise()
    if expression is None or len(node.inputs) != 1 or node.outputs[0].desc.quantization:
        return None
    found = activation_of(Epilogue((EpilogueStep(expression),)))
    if found is None:
        return None
    return () if found.kind == NONE else found.parameters


def _is_depthwise(view: LayerNode) -> bool:
    weights = _weights(view)
    groups = view.plugin.attribute_values["groups"]
    return bool(weights.ndim == 4 and groups == len(weights) > 1 == weights.shape[1])


def _is_pointwise(layer: LayerPlugin, node: LayerNode) -> bool:
    if type(node.plugin) is not type(layer) or not _is_plain(node):
        return False
    values = node.plugin.attribute_values
    ones = all(step == 1 for step in values["strides"])
    plain = ones and values["groups"] == 1 and not any(values["padding"])
    return bool(plain and _weights(node).shape[2:] == (1, 1))


def _is_plain(view: LayerNode) -> bool:
    """Whether weights and bias are constants in float32, and nothing has a scale of its own."""
    parameters: Sequence[TensorNode] = [node for node in view.inputs[1:] if node is not None]
    return all(
        node.desc.value is not None and node.desc.dtype is DataType.FLOAT32 for node in parameters
    ) and all(node.desc.quantization is None for node in (*parameters, *view.outputs))


def _weights(view: LayerNode) -> Any:
    node = view.inputs[1]
    return None if node is None else node.desc.value


def _bias(view: LayerNode) -> TensorNode | None:
    return view.inputs[2] if len(view.inputs) > 2 else None
