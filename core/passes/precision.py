"""8-bit storage: tensors with a scale are kept in int8, uint8 or float8 where their neighbours
can.

A layer runs in 8 bits when its plug-in accepts the types and offers a tactic for them;
between layers that do and layers that do not, a layer of role `cast` converts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product

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
    report: Report = lambda line: None, kind: DataType = DataType.INT8,
) -> None:
    """Choose 8-bit layers, quantise their constants, and insert casts; in place. `kind` is INT8,
    which UINT8 goes with, or an 8-bit float, which knows no zero points."""
    for layer in network.layers:
        for body in graph_attributes(layer.plugin).values():
            lower_precision(body, formats, concretise, target, report, kind)
    scales = _scales(network)
    if kind.is_float8:
        scales = {key: replace(scale, zero_point=(0,)) for key, scale in scales.items()}
    chosen: dict[Layer, _Choice] = {}
    for layer in network.layers:
        with naming_layer(layer.name, layer.plugin, "asking about 8 bits"):
            choice = _choose(layer, scales, formats, concretise, target, kind)
        if choice is not None:
            chosen[layer] = choice
    if kind.is_float8 or not target.is_host:
        chosen = _without_mere_movement(chosen)
    for layer in chosen:
        report(f"{layer.name}: runs in 8 bits")
    _apply(network, scales, chosen, kind)
    _drop_scales(network)


def keep_float(network: Network) -> None:
    """Without 8-bit storage the scales that the user gave mean nothing; in place."""
    for layer in network.layers:
        for body in graph_attributes(layer.plugin).values():
            keep_float(body)
    _drop_scales(network)


def _drop_scales(network: Network) -> None:
    for tensor in network.tensors.values():
        if tensor.dtype.is_float and not tensor.dtype.is_float8:
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


def _without_mere_movement(chosen: dict[Layer, _Choice]) -> dict[Layer, _Choice]:
    """Those that compute in 8 bits, and those that only move their results: of values that come in
    float, as a pooling behind a first layer, what is left is converted in less time."""
    reached = [layer for layer, choice in chosen.items() if not _moves(layer, choice)]
    kept = set(reached)
    while reached:
        layer = reached.pop()
        for other in [use for tensor in layer.outputs for use in tensor.uses]:
            if other in chosen and other not in kept:
                kept.add(other)
                reached.append(other)
    return {layer: choice for layer, choice in chosen.items() if layer in kept}


def _moves(layer: Layer, choice: _Choice) -> bool:
    """Whether a layer's results are among its inputs, or between them."""
    rules = [layer.plugin.outputRange(index) for index in range(len(layer.outputs))]
    keeps = all(isinstance(rule, SameRange) for rule in rules)
    return keeps and not choice.constants and not layer.epilogue


def stored_type(quantization: Quantization, kind: DataType) -> DataType:
    """uint8 where a zero point lies above the range of int8, else int8; or the 8-bit float."""
    if kind.is_float8:
        return kind
    return DataType.UINT8 if max(quantization.zero_point) > 127 else DataType.INT8


def quantise(values: Array, quantization: Quantization, dtype: DataType) -> Array:
    """Constants in 8 bits: round half to even, saturate. 8-bit floats have no zero points."""
    shape = [1] * values.ndim
    if quantization.axis is not None:
        shape[quantization.axis] = -1
    scale = np.asarray(quantization.scale).reshape(shape)
    zero = np.asarray(quantization.zero_point).reshape(shape if len(
        quantization.zero_point) > 1 else [1] * values.ndim)  # fmt: skip
    if dtype.is_float8:
        near = np.clip(values.astype(np.float64) / scale, -dtype.largest, dtype.largest)
        floats: Array = near.astype(np.float32).astype(dtype.numpy)
        return floats
    limits = np.iinfo(dtype.numpy)
    stored = np.rint(values.astype(np.float64) / scale) + zero
    clipped: Array = np.clip(stored, limits.min, limits.max).astype(dtype.numpy)
    return clipped


def _choose(
    layer: Layer, scales: Mapping[int, Quantization], formats: list[Format],
    concretise: Concretise, target: Target, kind: DataType,
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
                constants[index] = replace(found, zero_point=(0,)) if kind.is_float8 else found
    low_outputs = {k for k, t in enumerate(layer.outputs) if id(t) in scales}
    # What an epilogue reads may stay in 8 bits too, or is converted.
    low_operands = {
        k for k, t in enumerate(layer.inputs) if k >= own and t is not None and id(t) in scales
    }
    operand_choices = [low_operands, set()] if low_operands else [set()]
    for outputs, operands in product([low_outputs, set()] if low_outputs else [set()],
                                     operand_choices):
        for layout in formats:
            inputs: list[TensorDesc | None] = []
            for index, tensor in enumerate(layer.inputs):
                if tensor is None:
                    inputs.append(None)
                    continue
                desc = float_desc(tensor.desc, layout, concretise)
                if index in low_inputs or index in operands:
                    desc = _low(desc, scales[id(tensor)], kind)
                elif index in constants and tensor.value is not None:
                    desc = _low(desc, constants[index], kind)
                    stored = quantise(tensor.value, constants[index], desc.dtype)
                    desc = replace(desc, value=stored)
                inputs.append(desc)
            results = tuple(
                _low(float_desc(t.desc, layout, concretise), scales[id(t)], kind)
                if k in outputs else float_desc(t.desc, layout, concretise)
                for k, t in enumerate(layer.outputs)
            )
            combination = target.combination(inputs[:own], results)
            request = target.request(inputs, results, layer.epilogue)
            if not accepts(layer.plugin, combination):
                continue
            offered = layer.plugin.getTactics(request)
            # Last resorts of a GPU are slower than floats, and no reason to keep operands so.
            if operands or not target.is_host:
                offered = [
                    t for t in offered if t.priority >= 0 and t.accumulates_into is None
                ]
            if offered:
                return _Choice(low_inputs | operands, outputs, constants)
    return None


def _low(desc: TensorDesc, quantization: Quantization, kind: DataType) -> TensorDesc:
    return replace(desc, dtype=stored_type(quantization, kind), quantization=quantization)


def _apply(
    network: Network, scales: Mapping[int, Quantization], chosen: Mapping[Layer, _Choice],
    kind: DataType,
) -> None:  # fmt: skip
    for layer, choice in chosen.items():
        for index, quantization in choice.constants.items():
            tensor = layer.inputs[index]
            if tensor is not None and tensor.value is not None:
                dtype = stored_type(quantization, kind)
                stored = quantise(tensor.value, quantization, dtype)
                name = network.unique_name(f"{tensor.name}.{dtype.value}")
                fresh = network.add_constant(name, stored)
                fresh.quantization = quantization
                layer.set_input(index, fresh)
    for tensor in list(network.tensors.values()):
        if id(tensor) in scales:
            _store(network, tensor, scales[id(tensor)], chosen, kind)
    network.sort_layers()


def _store(
    network: Network, tensor: Tensor, quantization: Quantization,
    chosen: Mapping[Layer, _Choice], kind: DataType,
) -> None:  # fmt: skip
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
    dtype = stored_type(quantization, kind)
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
