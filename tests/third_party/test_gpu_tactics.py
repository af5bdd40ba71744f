"""On a GPU, too, twins offer what the built-in layers offer, and launch the same kernels; this
needs no GPU, which leaves cuDNN and cuBLASLt to tests/cuda/test_gpu_twins.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plugrt import DataType, Format, LayerPlugin, Registry
from plugrt.plugins import (
    Array,
    Combination,
    Epilogue,
    Quantization,
    TacticRequest,
    TensorDesc,
    TensorView,
)
from plugrt.plugins.native.cuda import ARCHITECTURES, CudaKernel
from tests.cuda.kernel_harness import CollectingStream
from tests.third_party.test_same_tactics import (
    CONVOLUTIONS,
    EPILOGUES,
    POOLINGS,
    Pair,
    described,
)

FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)
FLOATS = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)


def compare(pair: Pair, inputs: Sequence[TensorDesc], output: TensorDesc,
            epilogue: Epilogue = EPILOGUES["none"]) -> list[CudaKernel]:  # fmt: skip
    """Both accept the same, offer the same tactics and launch the same; the twin's kernels."""
    own = Combination(tuple(inputs[: len(inputs) - epilogue.operands]), (output,), "cuda")
    accepted = [layer.supportsFormat(own) for layer in pair.layers]
    assert accepted[0] == accepted[1]
    if not accepted[0]:
        return []
    request = TacticRequest(tuple(inputs), (output,), epilogue, "cuda")
    offers = [list(layer.getTactics(request)) for layer in pair.layers]
    assert offers[0] == offers[1]
    found: list[CudaKernel] = []
    for tactic in offers[0]:
        launched = [launches(layer.clone(), tactic, inputs, output, epilogue)
                    for layer in pair.layers]  # fmt: skip
        assert len(launched[0]) == len(launched[1])
        found += launched[1]
    return found


def launches(
    layer: LayerPlugin, tactic: Any, inputs: Sequence[TensorDesc], output: TensorDesc,
    epilogue: Epilogue,
) -> list[CudaKernel]:  # fmt: skip
    layer.setTactic(tactic)
    layer.setEpilogue(epilogue)
    stream = CollectingStream()
    views = [TensorView(desc, slot, digest=str(slot)) for slot, desc in enumerate(inputs)]
    layer.enqueue(views, [TensorView(output, 100)], None, stream)
    return stream.kernels


def same_kernels(pair: Pair, *arguments: Any) -> None:
    assert compare(pair, *arguments)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("epilogue", EPILOGUES.values(), ids=EPILOGUES)
def test_convolution(registry: Registry, name: str, epilogue: Epilogue) -> None:
    channels, filters, size, attributes = CONVOLUTIONS[name]
    pair = Pair(registry, "Convolution", "Twins.Convolution", **attributes)
    random = np.random.default_rng(0)
    per_group = channels // attributes.get("groups", 1)
    shapes = ((2, channels, 13, 14), (filters, per_group, size, size), (filters,))
    launched = 0
    for dtype, before, after, result in typed_formats():
        arrays = [random.standard_normal(shape).astype(dtype.numpy) for shape in shapes]
        constants = [replace(described(array), value=array) for array in arrays[1:]]
        source = described(arrays[0], before)
        output = replace(pair.output([source, *constants]), format=after, dtype=result)
        operands = [replace(output, value=None)] * epilogue.operands
        launched += len(compare(pair, [source, *constants, *operands], output, epilogue))
    assert launched


def typed_formats() -> Iterator[tuple[DataType, Format, Format, DataType]]:
    for dtype in FLOATS:
        for before in FORMATS:
            for after in FORMATS:
                yield dtype, before, after, dtype
    yield DataType.FLOAT32, Format.LINEAR, Format.CHANNELS_LAST, DataType.FLOAT16


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("epilogue", EPILOGUES.values(), ids=EPILOGUES)
def test_pooling(registry: Registry, name: str, epilogue: Epilogue) -> None:
    kind, attributes = POOLINGS[name]
    pair = Pair(registry, kind, f"Twins.{kind}", **attributes)
    for dtype in FLOATS:
        for layout in FORMATS:
            source = TensorDesc(dtype, (2, 32, 11, 12), layout)
            output = replace(pair.output([source]), format=layout)
            same_kernels(pair, [source, *[output] * epilogue.operands], output, epilogue)
    for dtype, zero in ((DataType.INT8, 3), (DataType.FLOAT8_E4M3FN, 0)):
        scaled = TensorDesc(
            dtype, (2, 32, 11, 12), Format.CHANNELS_LAST, quantization=Quantization.of(0.1, zero)
        )
        output = replace(
            pair.output([scaled]), format=scaled.format, quantization=scaled.quantization
        )
        same_kernels(pair, [scaled], output)


@pytest.mark.parametrize("dtype", [DataType.INT8, DataType.FLOAT8_E4M3FN])
def test_convolution_in_8_bits(registry: Registry, dtype: DataType) -> None:
    pair = Pair(registry, "Convolution", "Twins.Convolution", padding=(1, 1, 1, 1))
    weights = np.ones((16, 16, 3, 3)).astype(dtype.numpy)
    scales = Quantization.of([0.1] * 16, 0, axis=0)
    constant = TensorDesc(dtype, weights.shape, quantization=scales, value=weights)
    for layout in FORMATS:
        source = TensorDesc(dtype, (1, 16, 8, 8), layout, quantization=Quantization.of(0.1))
        output = replace(source, quantization=Quantization.of(0.2))
        launched = compare(pair, [source, constant], output)
        assert bool(launched) == (layout is Format.CHANNELS_LAST)


@pytest.mark.parametrize("name", ["Add", "Sum", "Mish", "LeakyReLU", "Concatenation"])
def test_pointwise_and_join(registry: Registry, name: str) -> None:
    pair = Pair(registry, name, f"Twins.{name}")
    for dtype in FLOATS:
        for layout in FORMATS:
            source = TensorDesc(dtype, (2, 16, 6, 5), layout)
            inputs = [source] * (1 if name in ("Mish", "LeakyReLU") else 2)
            output = replace(pair.output(inputs), format=layout)
            same_kernels(pair, inputs, output)


@pytest.mark.parametrize("changes", [{}, {"scale_x_y": 1.2}, {"new_coords": True}])
def test_yolo(registry: Registry, changes: dict[str, Any]) -> None:
    sizes = {"classes": 2, "anchors": (10, 13, 16, 30, 33, 23)}
    pair = Pair(registry, "Darknet.Yolo", "Twins.Yolo", **sizes, **changes)
    for dtype in FLOATS:
        for layout in FORMATS:
            source = TensorDesc(dtype, (2, 21, 6, 5), layout)
            output = TensorDesc(DataType.FLOAT32, source.shape)
            (kernel,) = compare(pair, [source], output)
            assert kernel.source.name == "yolo.cu"  # one of its own


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_twins_own_kernels_compile(registry: Registry, architecture: str) -> None:
    values: Array = np.zeros((1, 7, 2, 2), np.float32)
    pair = Pair(registry, "Darknet.Yolo", "Twins.Yolo", classes=2, anchors=(1, 1))
    kernels = []
    for dtype in FLOATS:
        source = replace(described(values), dtype=dtype)
        kernels += compare(pair, [source], described(values))
    scale = registry.createPlugin("Twins.Int8Scale", {"factor": 2.0})
    for stored in (DataType.FLOAT32, DataType.INT8, DataType.UINT8):
        quantization = None if stored.is_float else Quantization.of(0.1)
        desc = TensorDesc(stored, (64,), quantization=quantization)
        (tactic,) = scale.getTactics(TacticRequest((desc,), (desc,), Epilogue(), "cuda"))
        kernels += launches(scale, tactic, [desc], desc, Epilogue())
    assert len(kernels) == 6
    for kernel in kernels:
        assert kernel.compile(architecture).startswith(b"\x7fELF")
