"""Convolutions of one input side by side as one convolution, its result cut: larger products run
faster, and the input is read once. The 1x1 convolutions of an inception block are the example."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...plugins import Array, DataType, LayerNode, LayerPlugin, Patch, TensorNode
from ..split import Split


def joined_siblings(layer: LayerPlugin, view: LayerNode) -> list[Patch]:
    """All siblings of `view` in one, and, of three or more, all but the widest: that one may do
    better to write straight to where its result is wanted. Proposed by the first sibling."""
    siblings = _siblings(layer, view)
    if len(siblings) < 2 or siblings[0] is not view:
        return []
    found = [_joined(layer, siblings)]
    if len(siblings) > 2:
        widest = max(siblings, key=_filters)
        found.append(_joined(layer, [other for other in siblings if other is not widest]))
    return found


def _siblings(layer: LayerPlugin, view: LayerNode) -> list[LayerNode]:
    """The convolutions like this one that read the same input, in the graph's order."""
    source = view.inputs[0]
    if source is None or source.desc.is_constant or not _is_plain(view):
        return []
    kernel = _window(view)
    return [
        other
        for other in dict.fromkeys(source.consumers)
        if type(other.plugin) is type(layer)
        and other.plugin.attribute_values == layer.attribute_values
        and layer.attribute_values["groups"] == 1
        and other.inputs[0] is source
        and _is_plain(other)
        and _window(other) == kernel
        and (_bias(other) is None) == (_bias(view) is None)
    ]


def _is_plain(view: LayerNode) -> bool:
    """Whether weights and bias are constants in float32, and nothing has a scale of its own."""
    parameters = [node for node in view.inputs[1:] if node is not None]
    return all(
        node.desc.is_constant and node.desc.dtype is DataType.FLOAT32 for node in parameters
    ) and all(node.desc.quantization is None for node in (*parameters, *view.outputs))


def _joined(layer: LayerPlugin, siblings: Sequence[LayerNode]) -> Patch:
    patch = Patch()
    name = "+".join(sibling.name for sibling in siblings)
    inputs = [siblings[0].inputs[0], patch.add_constant(f"{name}.weights", _stacked(siblings, 1))]
    if _bias(siblings[0]) is not None:
        inputs.append(patch.add_constant(f"{name}.bias", _stacked(siblings, 2)))
    (result,) = patch.add_layer(layer.clone(), inputs, name)
    outputs = [sibling.outputs[0] for sibling in siblings]
    follower = _common_follower(outputs)
    if follower is not None:
        (result,) = patch.add_layer(follower, [result], f"{name}.{follower.type}")
        outputs = [tensor.consumers[0].outputs[0] for tensor in outputs]
    sizes = tuple(map(_filters, siblings))
    pieces = patch.add_layer(Split(axis=1, sizes=sizes), [result], f"{name}.split")
    for tensor, piece in zip(outputs, pieces, strict=True):
        patch.replace(tensor, piece)
    return patch


def _common_follower(outputs: Sequence[TensorNode]) -> LayerPlugin | None:
    """The function of one input that is applied to every one of them and to nothing else."""
    followers = [tensor.only_consumer for tensor in outputs]
    first = followers[0]
    if first is None or first.plugin.pointwise() is None:
        return None
    same = all(
        follower is not None
        and type(follower.plugin) is type(first.plugin)
        and follower.plugin.attribute_values == first.plugin.attribute_values
        and len(follower.inputs) == len(follower.outputs) == 1
        and follower.outputs[0].desc.quantization is None
        for follower in followers
    )
    return first.plugin.clone() if same else None


def _stacked(siblings: Sequence[LayerNode], index: int) -> Array:
    return np.concatenate([_value(sibling, index) for sibling in siblings])


def _value(view: LayerNode, index: int) -> Array:
    node = view.inputs[index]
    if node is None or node.desc.value is None:
        raise ValueError(f"input {index} of {view.name} is no constant")
    return node.desc.value


def _bias(view: LayerNode) -> TensorNode | None:
    return view.inputs[2] if len(view.inputs) > 2 else None


def _filters(view: LayerNode) -> int:
    return int(_value(view, 1).shape[0])


def _window(view: LayerNode) -> tuple[int, ...]:
    return _value(view, 1).shape[2:]
