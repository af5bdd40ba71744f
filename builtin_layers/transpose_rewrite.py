"""Transposes that meet: two become one or none, and one moves past layers that do not mind.

Models written for channels-last, as TensorFlow's, have a transpose on either side of each
convolution. What lies between two that undo each other runs in the order of their inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..plugins import AnyTensor, Array, LayerNode, LayerPlugin, Patch, TensorNode
from ..plugins.expression import inputs_of

Order = tuple[int, ...]

OrderOf = Callable[[LayerNode], "Order | None"]
"""The permutation of a transpose; None for another layer."""

Make = Callable[[Order], LayerPlugin]
"""A transpose with this permutation."""


def rewritten(view: LayerNode, order_of: OrderOf, make: Make) -> Patch | None:
    """A form of the graph round the transpose `view` with fewer transposes, or with pointwise
    layers earlier, where they can fuse into what computes."""
    order = order_of(view)
    source = view.inputs[0]
    if order is None or source is None:
        return None
    return (
        _joined(view, source, order, order_of, make)
        or _hoisted(view, source, order, order_of)
        or _sunk(view, order, order_of, make)
    )


def is_identity(order: Sequence[int]) -> bool:
    """Whether every axis stays where it is."""
    return tuple(order) == tuple(range(len(order)))


def inverse(order: Order) -> Order:
    """The permutation that undoes another one."""
    return tuple(order.index(axis) for axis in range(len(order)))


def _joined(
    view: LayerNode, source: TensorNode, order: Order, order_of: OrderOf, make: Make
) -> Patch | None:
    """An identity disappears; a transpose behind another one reads what that one reads."""
    before = None if source.producer is None else order_of(source.producer)
    if source.producer is not None and before is not None and source.producer.inputs[0]:
        source = source.producer.inputs[0]
        order = tuple(before[axis] for axis in order)
    elif not is_identity(order):
        return None
    patch = Patch()
    if is_identity(order) and not view.outputs[0].is_output:
        patch.replace(view.outputs[0], source)
    else:
        (result,) = patch.add_layer(make(order), [source], view.name)
        patch.replace(view.outputs[0], result)
    return patch


class _Permuted:
    """Tensors with their axes in another order, without any new transpose."""

    def __init__(self, order: Order, order_of: OrderOf) -> None:
        self.patch = Patch()
        self._order = order
        self._order_of = order_of

    def layer(self, view: LayerNode, reader: LayerNode | None = None) -> AnyTensor | None:
        """The permuted output of a permuted copy of a layer; None where there is none. With a
        `reader` nobody else may read the output."""
        (output, *others) = view.outputs
        if others or output.desc.quantization is not None:
            return None
        if reader is not None and output.only_consumer is not reader:
            return None
        plugin = view.plugin.permuted(self._order)
        if plugin is None or output.desc.rank != len(self._order):
            return None
        expression = view.plugin.pointwise()
        vectors = set() if expression is None else {
            leaf.index for leaf in inputs_of(expression) if leaf.axis is not None
        }  # fmt: skip
        inputs: list[AnyTensor | None] = []
        for index, tensor in enumerate(view.inputs):
            stays = tensor is None or index in vectors
            found = tensor if stays else self.tensor(tensor, view)  # type: ignore[arg-type]
            if found is None and tensor is not None:
                return None
            inputs.append(found)
        (result,) = self.patch.add_layer(plugin, inputs, view.name)
        return result

    def tensor(self, tensor: TensorNode, reader: LayerNode) -> AnyTensor | None:
        """A permuted tensor: a constant, what an inverse transpose reads, or the result of a
        layer that nobody but `reader` reads; else None."""
        value = tensor.desc.value
        if tensor.desc.is_constant and value is not None:
            if tensor.desc.quantization is not None:
                return None
            return self.patch.add_constant(tensor.name, self._array(value))
        producer = tensor.producer
        if producer is None:
            return None
        before = self._order_of(producer)
        if before is None:
            return self.layer(producer, reader)
        undone = is_identity([before[axis] for axis in self._order])
        return producer.inputs[0] if undone else None

    def _array(self, value: Array) -> Array:
        rank = len(self._order)
        aligned = value.reshape((1,) * (rank - value.ndim) + value.shape)
        return np.ascontiguousarray(aligned.transpose(self._order))


def _hoisted(
    view: LayerNode, source: TensorNode, order: Order, order_of: OrderOf
) -> Patch | None:
    """Layers between transposes that undo `view`, and `view` itself, without any of them."""
    if source.producer is None or order_of(source.producer) is not None:
        return None
    permuted = _Permuted(order, order_of)
    result = permuted.layer(source.producer, view)
    if result is None:
        return None
    permuted.patch.replace(view.outputs[0], result)
    return permuted.patch


def _sunk(view: LayerNode, order: Order, order_of: OrderOf, make: Make) -> Patch | None:
    """A layer that reads only what is transposed like `view`, before one such transpose."""
    for reader in dict.fromkeys(view.outputs[0].consumers):
        if order_of(reader) is not None or not reader.outputs:
            continue
        going = [
            source for source in dict.fromkeys(t.producer for t in reader.inputs if t is not None)
            if source is not None and order_of(source) is not None
            and set(source.outputs[0].consumers) == {reader} and not source.outputs[0].is_output
        ]  # fmt: skip
        if not going or (len(going) == 1 and not _may_fuse(reader, going[0])):
            continue
        permuted = _Permuted(inverse(order), order_of)
        inner = permuted.layer(reader)
        if inner is None:
            continue
        (result,) = permuted.patch.add_layer(make(order), [inner], view.name)
        permuted.patch.replace(reader.outputs[0], result)
        return permuted.patch
    return None


def _may_fuse(reader: LayerNode, transpose: LayerNode) -> bool:
    """Whether a layer might become an epilogue if only the transpose were not between."""
    source = transpose.inputs[0]
    if reader.plugin.pointwise() is None or source is None:
        return False
    return source.producer is not None and source.only_consumer is transpose
