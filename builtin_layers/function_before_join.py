"""A function of what lies side by side, applied to each part before: parts that were just computed
take it as their epilogue, and no pass over the whole is left."""

from __future__ import annotations

from collections.abc import Sequence

from ..plugins import AnyTensor, Graph, LayerNode, LayerPlugin, Patch, TensorNode


def function_before_join(view: LayerNode, join: LayerPlugin) -> Sequence[Patch]:
    """The function behind the join `view` before it instead; nothing where there is none.

    The layers that compute the parts are proposed again with it: what the function costs there
    is what decides.
    """
    (output,) = view.outputs
    function = output.only_consumer
    if function is None or len(function.inputs) != 1 or function.plugin.pointwise() is None:
        return ()
    result = function.outputs[0]
    nodes = [node for node in view.inputs if node is not None]
    if any(node.desc.quantization is not None for node in (*nodes, output, result)):
        return ()
    if result.desc.shape != output.desc.shape or not any(_computed(n, view) for n in nodes):
        return ()
    patch = Patch()
    parts: list[AnyTensor] = []
    for number, node in enumerate(nodes):
        part: AnyTensor = node
        computed = _computed(node, view)
        if computed is not None:
            (part,) = patch.add_layer(computed.plugin.clone(), computed.inputs, computed.name)
        (part,) = patch.add_layer(function.plugin.clone(), [part], f"{function.name}.{number}")
        parts.append(part)
    (joined,) = patch.add_layer(join, parts, view.name)
    patch.replace(result, joined)
    return (patch,)


def _computed(node: TensorNode, reader: LayerNode) -> LayerNode | None:
    """The layer that computes a tensor for `reader` alone."""
    producer = node.producer
    if producer is None or node.only_consumer is not reader or len(producer.outputs) != 1:
        return None
    bodies = any(isinstance(value, Graph) for value in producer.plugin.attribute_values.values())
    return None if bodies else producer
