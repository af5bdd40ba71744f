"""8-bit storage: tensors with a scale are kept in int8 or uint8 where their neighbours can.

A layer runs in 8 bits when its plug-in accepts the types and offers a tactic for them;
between layers that do and layers that do not, a layer of role `cast` converts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ...plugins import (
    Array,
    DataType,
    Format,
    Quantization,
    SameRange,
    TensorDesc,
)
from ..devices.target import Target
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise, float_desc
from ..graph.naming import naming_layer
from ..tuning.candidates import accepts
from .copying import graph_attributes

Report = Callable[[str], None]


def lower_precision(
    network: Network, formats: list[Format], concretise: Concretise, target: Target,
    report: Report = lambda line: None,
) -> None:
    """Choose 8-bit layers, quantise their constants, and insert casts; in place."""
    for layer in network.layers:
        for body in graph_attributes(layer.plugin).values():
            lower_precision(body, formats, concretise, target, report)
    scales = _scales(network)
    chosen: dict[Layer, _Choice] = {}
    for layer in network.layers:
        with naming_layer(layer.name, layer.plugin, "asking about 8 bits"):
            choice = _choose(layer, scales, formats, concretise, target)
        if choice is not None:
            chosen[layer] = choice
            report(f"{layer.name}: runs in 8 bits")
    _apply(network, scales, chosen)
    _drop_scales(network)


def keep_float(network: Network) -> None:
    """Without 8-bit storage the scales that the user gave mean nothing; in place."""
    for layer in network.layers:
        for body in graph_attributes(layer.plugin).values():
            keep_float(body)
    _drop_scales(network)


def _drop_scales(network: Network) -> None:
    for tensor in network.tensors.values():
        if tensor.dtype.is_float:
            tensor.quantization = None


class _Choice:
    """An 8-bit layer: which inputs and outputs are stored in 8 bits, and new constants."""

    def __init__(
        self, inputs: set[int], outputs: set[int], constants: Mapping[int, Quantization]
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.constants = constants


def _scales(network: Network) -> dict[int, Quantization]:
    """Quantization by tensor: as set, and carried on by layers that keep the range; where such a
    layer has several inputs, as concatenation has, only if they are on one scale."""
    scales = {
        id(t): t.quantization for t in network.tensors.values()
        if t.quantization is not None and not t.is_constant and t.dtype is DataType.FLOAT32
    }  # fmt: skip
    for layer in network.layers:
        for index, tensor in enumerate(layer.outputs):
            with naming_layer(layer.name, layer.plugin, "outputRange()"):
                rule = layer.plugin.outputRange(index)
            kept = isinstance(rule, SameRange) and not layer.epilogue
            if kept and id(tensor) not in scales and tensor.dtype is DataType.FLOAT32:
                found = {
                    scales.get(id(t)) for t in layer.own_inputs
                    if t is not None and not t.is_constant and t.dtype is DataType.FLOAT32
                }  # fmt: skip
                shared = found.pop() if len(found) == 1 else None
                if shared is not None:
                    scales[id(tensor)] = shared
    return scales


def stored_type(quantization: Quantization) -> DataType:
    """uint8 where a zero point lies above the range of int8, else int8."""
    return DataType.UINT8 if max(quantization.zero_point) > 127 else DataType.INT8


def quantise(values: Array, quantization: Quantization, dtype: DataType) -> Array:
    """Constants in 8 bits: round half to even, saturate."""
    shape = [1] * values.ndim
    if quantization.axis is not None:
        shape[quantization.axis] = -1
    scale = np.asarray(quantization.scale).reshape(shape)
    zero = np.asarray(quantization.zero_point).reshape(shape if len(
        quantization.zero_point) > 1 else [1] * values.ndim)  # fmt: skip
    limits = np.iinfo(dtype.numpy)
    stored = np.rint(values.astype(np.float64) / scale) + zero
    clipped: Array = np.clip(stored, limits.min, limits.max).astype(dtype.numpy)
    return clipped


def _choose(
    layer: Layer, scales: Mapping[int, Quantization], formats: list[Format],
    concretise: Concretise, target: Target,
) -> _Choice | None:
    own = len(layer.own_inputs)
    low_inputs = {
        k for k, t in enumerate(layer.own_inputs) if t is not None and id(t) in scales
    }
    if not low_inputs or layer.plugin.role is not None:
        return None
    if not target.has_kernels_for(layer.plugin):
        return None
    constants = {}
    descs = [None if t is None else t.desc for t in layer.own_inputs]
    for index, tensor in enumerate(layer.own_inputs):
        if tensor is not None and tensor.is_constant and tensor.dtype is DataType.FLOAT32:
            found = tensor.quantization or layer.plugin.inputQuantization(index, descs)  # type: ignore[arg-type]
            if found is not None:
                constants[index] = found
    low_outputs = {k for k, t in enumerate(layer.outputs) if id(t) in scales}
    for outputs in ([low_outputs, set()] if low_outputs else [set()]):
        for layout in formats:
            inputs: list[TensorDesc | None] = []
            for index, tensor in enumerate(layer.inputs):
                if tensor is None:
                    inputs.append(None)
                    continue
                desc = float_desc(tensor.desc, layout, concretise)
                if index < own and index in low_inputs:
                    desc = _low(desc, scales[id(tensor)])
                elif index in constants and tensor.value is not None:
                    desc = _low(desc, constants[index])
                    stored = quantise(tensor.value, constants[index], desc.dtype)
                    desc = replace(desc, value=stored)
                inputs.append(desc)
            results = tuple(
                _low(float_desc(t.desc, layout, concretise), scales[id(t)])
                if k in outputs else float_desc(t.desc, layout, concretise)
                for k, t in enumerate(layer.outputs)
            )
            combination = target.combination(inputs[:own], results)
            request = target.request(inputs, results, layer.epilogue)
            if accepts(layer.plugin, combination) and layer.plugin.getTactics(request):
                return _Choice(low_inputs, outputs, constants)
    return None


def _low(desc: TensorDesc, quantization: Quantization) -> TensorDesc:
    return replace(desc, dtype=stored_type(quantization), quantization=quantization)


def _apply(
    network: Network, scales: Mapping[int, Quantization], chosen: Mapping[Layer, _Choice]
) -> None:
    for layer, choice in chosen.items():
        for index, quantization in choice.constants.items():
            tensor = layer.inputs[index]
            if tensor is not None and tensor.value is not None:
                dtype = stored_type(quantization)
                stored = quantise(tensor.value, quantization, dtype)
                name = network.unique_name(f"{tensor.name}.{dtype.value}")
                fresh = network.add_constant(name, stored)
                fresh.quantization = quantization
                layer.set_input(index, fresh)
    for tensor in list(network.tensors.values()):
        if id(tensor) in scales:
            _store(network, tensor, scales[id(tensor)], chosen)
    network.sort_layers()


def _store(
    network: Network, tensor: Tensor, quantization: Quantization,
    chosen: Mapping[Layer, _Choice],
) -> None:
    """Give one tensor its storage, and its readers the form they want."""
    producer = tensor.producer
    low_made = (
        producer in chosen and producer.outputs.index(tensor) in chosen[producer].outputs
        if producer is not None else False
    )  # fmt: skip
    low_readers: list[tuple[Layer, int]] = []
    other_readers: list[tuple[Layer, int]] = []
    for use in dict.fromkeys(tensor.uses):
        for index, read in enumerate(use.inputs):
            if read is tensor:
                wants = use in chosen and index in chosen[use].inputs
                (low_readers if wants else other_readers).append((use, index))
    dtype = stored_type(quantization)
    readers = other_readers if low_made else low_readers
    if low_made:
        real = tensor.desc.dtype
        tensor.dtype, tensor.quantization = dtype, quantization
        converted = TensorDesc(real, tensor.shape)
    else:
        tensor.quantization = None
        converted = TensorDesc(dtype, tensor.shape, quantization=quantization)
    if not readers and not (low_made and tensor.is_output):
        return
    position = 0 if producer is None else network.layers.index(producer) + 1
    name = f"{tensor.name}.{converted.dtype.value}"
    plugin = network.registry.by_role("cast")()
    cast = network.insert_layer(position, plugin, [tensor], name, [converted])
    for use, index in readers:
        use.set_input(index, cast.output)
    if low_made and tensor.is_output:
        network.outputs = [cast.output if t is tensor else t for t in network.outputs]


__all__ = ["keep_float", "lower_precision"]
