"""Twins offer what the built-in layers offer, format by format, and compute the same bits."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from plugrt import DataType, Format, LayerPlugin, Registry
from plugrt.builtin_layers.convolution import winograd
from plugrt.core.runtime.standalone import output_descs, prepare_layer, run_layer
from plugrt.plugins import (
    Array,
    Combination,
    Epilogue,
    EpilogueStep,
    Input,
    Quantization,
    TacticRequest,
    TensorDesc,
)
from plugrt.plugins.expression import where
from plugrt.plugins.native import cpu

X = Input(0)
LEAKY = EpilogueStep(where(X > 0, X, X * 0.1), name="leaky")
EPILOGUES = {
    "none": Epilogue(),
    "leaky": Epilogue((LEAKY,)),
    "residual": Epilogue((LEAKY, EpilogueStep(X + Input(1), 1, "residual"))),
    "unknown to oneDNN": Epilogue((EpilogueStep(X * X * X + X, name="cube"),)),
}

CONVOLUTIONS: dict[str, tuple[int, int, int, dict[str, Any]]] = {
    # input channels, filters, size, attributes
    "first layer": (3, 16, 3, {"strides": (2, 2), "padding": (1, 1, 1, 1)}),
    "narrow first layer": (4, 6, 5, {"padding": (2, 1, 2, 1), "dilations": (1, 2)}),
    "3x3": (32, 64, 3, {"padding": (1, 1, 1, 1)}),
    "1x1": (32, 48, 1, {}),
    "depthwise": (32, 32, 3, {"groups": 32, "padding": (1, 1, 1, 1)}),
    "groups": (24, 12, 3, {"groups": 2, "padding": (1, 0, 1, 2), "dilations": (2, 1)}),
}
POOLINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "maximum": ("MaxPooling", {"kernel": (3, 3), "strides": (2, 2), "padding": (1, 1, 1, 1)}),
    "Darknet's": ("MaxPooling", {"kernel": (2, 2), "padding": (0, 0, 1, 1)}),
    "dilated": ("MaxPooling", {"kernel": (2, 3), "dilations": (3, 1)}),
    "mean": ("AveragePooling", {"kernel": (3, 2), "strides": (2, 2), "ceil_mode": True}),
    "padded mean": (
        "AveragePooling",
        {"kernel": (3, 3), "padding": (1, 1, 1, 1), "count_include_padding": True},
    ),
}


class Pair:
    """A layer and its twin."""

    def __init__(self, registry: Registry, name: str, twin: str, **attributes: Any) -> None:
        self.layers: tuple[LayerPlugin, LayerPlugin] = (
            registry.createPlugin(name, attributes), registry.createPlugin(twin, attributes),
        )  # fmt: skip

    def output(self, inputs: Sequence[TensorDesc]) -> TensorDesc:
        """The output, on which both agree."""
        first, second = (output_descs(layer, inputs) for layer in self.layers)
        assert first == second
        return first[0]

    def compare(
        self, arrays: Sequence[Array], inputs: Sequence[TensorDesc], output: TensorDesc,
        epilogue: Epilogue, constants: Sequence[int] = (),
    ) -> list[str]:
        """Both accept the same, offer the same tactics, and compute the same; tactics' names."""
        own = Combination(tuple(inputs[: len(inputs) - epilogue.operands]), (output,))
        first, second = (layer.supportsFormat(own) for layer in self.layers)
        assert first == second
        if not first:
            return []
        request = TacticRequest(tuple(inputs), (output,), epilogue, thread_count=2)
        built_in, twin = (list(layer.getTactics(request)) for layer in self.layers)
        assert twin == built_in
        for tactic in built_in:
            results = [
                run_layer(
                    layer.clone(), arrays, inputs=inputs, outputs=[output], tactic=tactic,
                    epilogue=epilogue, constants=constants,
                )[0]
                for layer in self.layers
            ]  # fmt: skip
            np.testing.assert_array_equal(results[1], results[0], err_msg=tactic.name)
        return [tactic.name for tactic in built_in]


def described(array: Array, layout: Format = Format.LINEAR) -> TensorDesc:
    """A description in a format, where the array can have it."""
    layout = layout if layout.accepts(array.shape) else Format.LINEAR
    return TensorDesc(DataType.of(array.dtype), array.shape, layout)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("epilogue", EPILOGUES.values(), ids=EPILOGUES)
def test_convolution(registry: Registry, name: str, epilogue: Epilogue) -> None:
    channels, filters, size, attributes = CONVOLUTIONS[name]
    pair = Pair(registry, "Convolution", "Twins.Convolution", **attributes)
    random = np.random.default_rng(0)
    per_group = channels // attributes.get("groups", 1)
    arrays = [
        random.standard_normal((2, channels, 13, 14), np.float32),
        random.standard_normal((filters, per_group, size, size), np.float32),
        random.standard_normal(filters).astype(np.float32),
    ]
    constants = [replace(described(array), value=array) for array in arrays[1:]]
    output = pair.output([described(arrays[0]), *constants])
    operands = [random.standard_normal(output.sizes, np.float32)] * epilogue.operands
    names = set()
    for before in Format:
        for after in Format:
            wanted = replace(output, format=after if after.accepts(output.shape) else output.format)
            descs = [described(arrays[0], before), *constants]
            descs += [replace(wanted, value=None)] * epilogue.operands
            names.update(
                pair.compare([*arrays, *operands], descs, wanted, epilogue, constants=(1, 2))
            )
    if epilogue is EPILOGUES["unknown to oneDNN"]:
        families = {found.partition(":")[0] for found in names}
        own = {
            "3x3": {"winograd"}, "first layer": {"shallow"}, "depthwise": {"depthwise"},
            "1x1": {"product"},
        }  # fmt: skip
        assert families == own.get(name, set())
    else:
        assert names


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_into_a_slice(registry: Registry, name: str) -> None:
    """Channels of a wider channels-last tensor, which only some ways can write."""
    channels, filters, size, attributes = CONVOLUTIONS[name]
    pair = Pair(registry, "Convolution", "Twins.Convolution", **attributes)
    random = np.random.default_rng(0)
    source = random.standard_normal((2, channels, 13, 14), np.float32)
    per_group = channels // attributes.get("groups", 1)
    weights = random.standard_normal((filters, per_group, size, size), np.float32)
    descs = [described(source, Format.CHANNELS_LAST), replace(described(weights), value=weights)]
    dense = replace(pair.output(descs), format=Format.CHANNELS_LAST)
    wider = (dense.sizes[0], filters + 8, *dense.sizes[2:])
    wanted = replace(dense, strides=Format.CHANNELS_LAST.strides(wider))
    request = TacticRequest(tuple(descs), (wanted,), EPILOGUES["leaky"], thread_count=2)
    built_in, twin = (list(layer.getTactics(request)) for layer in pair.layers)
    assert twin == built_in
    assert [tactic for tactic in built_in if 0 in tactic.strided_outputs]
    for tactic in built_in:
        results = []
        for layer in pair.layers:
            prepared = prepare_layer(
                layer.clone(), [source, weights], inputs=descs, outputs=[wanted], constants=(1,),
                tactic=tactic, epilogue=EPILOGUES["leaky"],
            )  # fmt: skip
            prepared.recording.replay()
            memory = prepared.outputs[0][0].view(np.float32)
            strides = [4 * stride for stride in wanted.element_strides]
            results.append(as_strided(memory, wanted.sizes, strides))
        np.testing.assert_array_equal(results[1], results[0], err_msg=tactic.name)


@pytest.mark.parametrize("name", ["3x3", "1x1", "depthwise"])
def test_convolution_in_bfloat16(registry: Registry, name: str) -> None:
    channels, filters, size, attributes = CONVOLUTIONS[name]
    pair = Pair(registry, "Convolution", "Twins.Convolution", **attributes)
    random = np.random.default_rng(0)
    per_group = channels // attributes.get("groups", 1)
    shapes = ((1, channels, 9, 9), (filters, per_group, size, size))
    arrays = [random.standard_normal(shape).astype(DataType.BFLOAT16.numpy) for shape in shapes]
    descs = [
        described(arrays[0], Format.CHANNELS_LAST), replace(described(arrays[1]), value=arrays[1])
    ]  # fmt: skip
    wanted = replace(pair.output(descs), format=Format.CHANNELS_LAST)
    names = pair.compare(arrays, descs, wanted, EPILOGUES["leaky"], constants=(1,))
    if name == "3x3" and cpu.features() >= winograd.NARROW_FEATURES:
        assert "winograd:2x2" in names


@pytest.mark.parametrize("name", ["3x3", "1x1", "depthwise"])
def test_convolution_in_8_bits(registry: Registry, name: str) -> None:
    channels, filters, size, attributes = CONVOLUTIONS[name]
    pair = Pair(registry, "Convolution", "Twins.Convolution", **attributes)
    random = np.random.default_rng(0)
    per_group = channels // attributes.get("groups", 1)
    source = random.integers(-99, 99, (1, channels, 9, 9)).astype(np.int8)
    weights = random.standard_normal((filters, per_group, size, size), np.float32)
    bias = random.standard_normal(filters).astype(np.float32)
    real = [replace(described(array), value=array) for array in (weights, bias)]
    scales = [layer.inputQuantization(1, [described(source), *real]) for layer in pair.layers]
    assert scales[0] == scales[1]
    stored = np.rint(weights / np.reshape(scales[0].scale, (-1, 1, 1, 1))).astype(np.int8)  # type: ignore[union-attr]
    descs = [
        replace(described(source, Format.CHANNELS_LAST), quantization=Quantization.of(0.02, 3)),
        replace(described(stored), value=stored, quantization=scales[0]),
        real[1],
    ]
    wanted = replace(
        pair.output(descs), format=Format.CHANNELS_LAST, quantization=Quantization.of(0.1, -5)
    )
    assert pair.compare([source, stored, bias], descs, wanted, Epilogue(), constants=(1, 2))


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("epilogue", EPILOGUES.values(), ids=EPILOGUES)
def test_pooling(registry: Registry, name: str, epilogue: Epilogue) -> None:
    kind, attributes = POOLINGS[name]
    pair = Pair(registry, kind, f"Twins.{kind}", **attributes)
    random = np.random.default_rng(0)
    source = random.standard_normal((2, 32, 11, 12), np.float32)
    names = set()
    for layout in Format:
        desc = described(source, layout)
        wanted = replace(pair.output([desc]), format=layout)
        operands = [random.standard_normal(wanted.sizes, np.float32)] * epilogue.operands
        descs = [desc, *[wanted] * epilogue.operands]
        names.update(pair.compare([source, *operands], descs, wanted, epilogue))
    assert names or epilogue


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("dtype", [DataType.BFLOAT16, DataType.FLOAT16])
def test_pooling_in_16_bits(registry: Registry, name: str, dtype: DataType) -> None:
    kind, attributes = POOLINGS[name]
    pair = Pair(registry, kind, f"Twins.{kind}", **attributes)
    source = np.random.default_rng(0).standard_normal((2, 32, 11, 12)).astype(dtype.numpy)
    for layout in Format:
        desc = described(source, layout)
        wanted = replace(pair.output([desc]), format=layout)
        names = pair.compare([source], [desc], wanted, Epilogue())
        assert dtype is DataType.FLOAT16 or "kernel" in names


@pytest.mark.parametrize("kind", ["MaxPooling", "AveragePooling"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_pooling_in_8_bits(registry: Registry, kind: str, dtype: type) -> None:
    pair = Pair(registry, kind, f"Twins.{kind}", kernel=(3, 3), padding=(1, 1, 1, 1))
    source = np.random.default_rng(0).integers(0, 127, (1, 20, 9, 8)).astype(dtype)
    for layout in Format:
        desc = replace(described(source, layout), quantization=Quantization.of(0.1, 3))
        wanted = replace(pair.output([desc]), format=desc.format, quantization=desc.quantization)
        assert pair.compare([source], [desc], wanted, Epilogue())
        other = replace(wanted, quantization=Quantization.of(0.05, 7))
        names = pair.compare([source], [desc], other, Epilogue())
        assert bool(names) == (kind == "AveragePooling")


def test_yolo(registry: Registry) -> None:
    values = np.random.default_rng(0).normal(0, 30, (2, 21, 6, 5)).astype(np.float32)
    values.reshape(-1)[:4] = np.nan, np.inf, -np.inf, -0.0
    sizes = {"classes": 2, "anchors": (10, 13, 16, 30, 33, 23)}
    for further in ({}, {"scale_x_y": 1.2}, {"new_coords": True}):
        pair = Pair(registry, "Darknet.Yolo", "Twins.Yolo", **sizes, **further)
        wanted = pair.output([described(values)])
        assert pair.compare([values], [described(values)], wanted, Epilogue())
