"""The cases that our own CUDA kernels for convolutions and other products are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product
from math import inf, prod
from typing import Any

import numpy as np

from plugrt.builtin_layers import matmul_cuda
from plugrt.builtin_layers.convolution import (
    Convolution,
    candidates_cuda,
    depthwise_cuda,
    tile_choice,
)
from plugrt.builtin_layers.convolution.problem import ConvolutionProblem
from plugrt.builtin_layers.fully_connected import FullyConnected
from plugrt.builtin_layers.matmul import MatMul
from plugrt.builtin_layers.products_cuda import FullyConnectedWays
from plugrt.builtin_layers.separable_convolution import SeparableConvolution, steps_cuda
from plugrt.plugins import DataType, Epilogue, EpilogueStep, Format, Input, Tactic
from plugrt.plugins.expression import maximum
from tests.cuda.kernel_harness import FLOATS, RESIDUAL, KernelCase, case, values

LINEAR, LAST = Format.LINEAR, Format.CHANNELS_LAST


def convolution_cases() -> Iterator[KernelCase]:
    """First layers, depthwise, and every other case."""

    def recorder(tactic: str) -> Any:
        def record(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
            descs = tuple(view.desc for view in inputs)
            bias = descs[2] if len(descs) - layer.epilogue.operands > 2 else None
            problem = ConvolutionProblem(
                descs, descs[0], descs[1], bias, outputs[0].desc, layer.window(descs[1].shape),
                layer.groups, layer.epilogue, 1,
            )  # fmt: skip
            found = list(candidates_cuda.candidates(problem, tactic))
            assert [c.tactic.name for c in found] == [tactic], f"{descs} has no {tactic}"
            found[0].record(stream, inputs, outputs[0], workspace)

        return record

    def one(
        name: str, tactic: str, shape: Any, weights: Any, attributes: Any, bias: bool = True,
        **options: Any,
    ) -> KernelCase:
        arrays = [values(*shape), values(*weights, seed=2) / np.sqrt(np.prod(weights[1:]))]
        if bias:
            arrays.append(values(weights[0], seed=3))
        return case(
            f"{tactic}-{name}", Convolution(**attributes), arrays, recorder(tactic),
            constants=tuple(range(1, len(arrays))), keep=(2,), **options,
        )  # fmt: skip

    same = {"padding": (1, 1, 1, 1)}
    for dtype, form, gap in product(FLOATS, (LINEAR, LAST), (0, 8)):
        tolerance = 1e-5 if dtype is DataType.FLOAT32 else None
        for name, shape, weights, attributes in (
            ("3x3", (2, 8, 7, 9), (16, 8, 3, 3), {**same, "strides": (2, 1)}),
            ("groups", (2, 8, 7, 9), (12, 4, 3, 2), {"groups": 2, "dilations": (2, 1)}),
            ("3d", (1, 3, 4, 5, 6), (4, 3, 2, 2, 2), {}),
        ):
            yield one(
                f"{name}-{dtype.value}-{form.value}-{gap}", "cuda:direct", shape, weights,
                attributes, dtype=dtype, form=form, gap=gap, tolerance=tolerance,
                epilogue=RESIDUAL if gap else None, bias=not gap,
            )  # fmt: skip
    shares = depthwise_cuda.SHARES
    for dtype, (run, tile), step, side in product(FLOATS, shares, (1, 2), (3, 5)):
        for channels, gap in ((16, 0), (20, 4)):
            yield one(
                f"{side}x{side}-{step}-{dtype.value}-{channels}", f"cuda:depthwise:{run}x{tile}",
                (2, channels, 13, 15), (channels, 1, side, side),
                {"groups": channels, "strides": (step, step), "padding": (side // 2,) * 4},
                dtype=dtype, form=LAST, gap=gap, epilogue=RESIDUAL if gap else None,
                tolerance=1e-5 if dtype is DataType.FLOAT32 else None,
            )  # fmt: skip
    images = ((3, 1, 1), (3, 2, 1), (7, 2, 3), (11, 4, 2), (1, 1, 0))
    for dtype, (side, step, pad) in product(FLOATS[1:], images):
        for source, form, channels, outputs in (
            (DataType.FLOAT32, LINEAR, 3, 32), (dtype, LAST, 4, 64),
            (DataType.FLOAT32, LAST, 1, 16), (dtype, LINEAR, 3, 96),
        ):  # fmt: skip
            wide = "4x1" if side == 3 else "4x2x4"
            share = {16: "4x1", 32: "4x2", 64: wide, 96: "4x2x4"}[outputs]
            yield one(
                f"{side}-{step}-{source.value}-{dtype.value}-{form.value}-{outputs}",
                f"cuda:shallow:{share}", (2, channels, 37, 45),
                (outputs, channels, side, side),
                {"strides": (step, step), "padding": (pad,) * 4}, dtype=source, form=LAST,
                input_form=form, output_dtype=dtype, gap=8 if outputs == 96 else 0,
                epilogue=RESIDUAL if channels == 4 else None, tolerance=2 * 1.2e-2
                if dtype is DataType.BFLOAT16 else 3e-3,
            )  # fmt: skip
    for dtype, (side, step, outputs, form) in product(
        FLOATS[1:], ((7, 2, 64, LINEAR), (5, 2, 96, LAST), (11, 4, 24, LINEAR), (7, 4, 32, LAST))
    ):
        yield one(
            f"{side}-{step}-{dtype.value}-{form.value}-{outputs}", "cuda:shallow:dense-4x2x4",
            (2, 3, 37, 45), (outputs, 3, side, side),
            {"strides": (step,) * 2, "padding": (side // 2,) * 4},
            dtype=DataType.FLOAT32 if form is LINEAR else dtype, form=LAST, input_form=form,
            output_dtype=dtype, gap=8 if outputs == 96 else 0,
            epilogue=RESIDUAL if outputs < 64 else None,
            tolerance=2 * 1.2e-2 if dtype is DataType.BFLOAT16 else 3e-3,
        )  # fmt: skip
    for outputs, share in ((16, "4x2"), (64, "4x1")):  # many blocks
        yield one(
            f"large-{outputs}", f"cuda:shallow:{share}", (2, 3, 271, 333), (outputs, 3, 3, 3), same,
            dtype=DataType.FLOAT32, form=LAST, input_form=LINEAR,
            output_dtype=DataType.FLOAT16, tolerance=3e-3,
        )  # fmt: skip
    windows = enumerate(((1, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (1, 2, 0, 1), (5, 1, 0, 2)))
    every = product(product(FLOATS[1:], tile_choice.TILES), windows)
    # Each tile computes each window in one of the types: compiling both takes long.
    for (dtype, tile), (k, (side, step, pad, dilation)) in islice(every, 0, None, 2):
        split = 1 if k % 2 else 2 ** (k // 2 + 1)
        gap = 8 if k % 2 else 0
        name = replace(tile, split=split).name
        yield one(
            f"{side}-{step}-{dtype.value}-{gap}", f"cuda:tiles:{name}", (2, 24 + 16 * k, 9, 11),
            (40 + 16 * k - (k == 2), 24 + 16 * k, side, side),
            {"strides": (step, step), "padding": (pad,) * 4, "dilations": (dilation,) * 2},
            dtype=dtype, form=LAST, gap=gap, epilogue=RESIDUAL if gap else None,
        )  # fmt: skip
    for dtype, tile, (outputs, gap) in product(
        FLOATS[1:], tile_choice.TILES[::8], ((40, 0), (45, 0), (24, 8))
    ):  # sums as they are
        yield one(
            f"sums-{dtype.value}-{outputs}", f"cuda:tiles:{tile.name}", (2, 72, 9, 11),
            (outputs, 72, 1, 1), {}, dtype=dtype, form=LAST, gap=gap,
            output_dtype=DataType.FLOAT32, epilogue=RESIDUAL if gap else None, tolerance=2e-4,
        )  # fmt: skip
    for dtype, (tile, channels, outputs, side, step, dilation, gap) in product(
        FLOATS[1:],
        (
            ("13x15x64", 24, 40, 3, 1, 1, 8), ("7x8x128-2", 136, 128, 3, 1, 1, 0),
            ("4x8x64-3", 200, 72, 3, 2, 1, 8), ("2x7x8x64", 64, 64, 3, 2, 1, 0),
            ("7x15x64-8", 520, 64, 1, 1, 1, 8), ("5x5x64", 16, 21, 5, 1, 2, 0),
        ),
    ):  # fmt: skip
        for form, output_dtype in ((LAST, dtype), (LINEAR, DataType.FLOAT32)):
            yield one(
                f"{side}-{step}-{dtype.value}-{form.value}", f"cuda:gemm:{tile}",
                (3, channels, 13, 15), (outputs, channels, side, side),
                {"strides": (step,) * 2, "padding": (side // 2 * dilation,) * 4,
                 "dilations": (dilation,) * 2}, dtype=dtype, form=form, input_form=LAST,
                output_dtype=output_dtype, gap=gap, epilogue=RESIDUAL if gap else None,
                tolerance=2e-4 if form is LINEAR else None,
            )  # fmt: skip


SEPARABLE = {
    DataType.FLOAT32: 2e-5, DataType.FLOAT16: 2.5e-3, DataType.BFLOAT16: 2e-2
}  # fmt: skip
"""What lies between is rounded as well."""


def separable_cases() -> Iterator[KernelCase]:
    """Depthwise and 1x1 convolutions after each other, perhaps after an expansion."""

    def record(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        layer.setTactic(Tactic(steps_cuda.NAME))
        layer.enqueue(inputs, outputs, workspace, stream)

    activations = ((), (0.1, -inf, inf), (1.0, 0.0, 1.5))
    for k, (dtype, form, step) in enumerate(product(FLOATS, (LAST, LINEAR), (1, 2))):
        between, outputs, expands = 72, 45 if step == 2 else 64, step == 2
        channels = 24 if expands else between
        arrays = [
            values(2, channels, 13, 19), values(between, 1, 3, 3, seed=2) / 3,
            values(between, seed=3), values(outputs, between, 1, 1, seed=4) / np.sqrt(between),
            values(outputs, seed=5),
        ]  # fmt: skip
        if expands:
            arrays.append(values(between, channels, 1, 1, seed=6) / np.sqrt(channels))
            arrays.append(values(between, seed=7))
        layer = SeparableConvolution(
            strides=(step, step), padding=(1,) * 4, depthwise_activation=activations[k % 3],
            expansion_activation=activations[(k + 1) % 3],
        )  # fmt: skip
        yield case(
            f"separable-{step}-{dtype.value}-{form.value}", layer, arrays, record,
            dtype=dtype, form=form, constants=range(1, len(arrays)), keep=(2, 4, 6),
            epilogue=RESIDUAL if step == 1 else None, gap=8 if k % 2 else 0,
            workspace=lambda descs, count=between: 4096 + 2 * (2 * count * 13 * 19 * 4),
            tolerance=SEPARABLE[dtype],
        )  # fmt: skip


def product_cases() -> Iterator[KernelCase]:
    """Matrix products."""

    def multiply(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        matmul_cuda.record_product(inputs, outputs[0], layer.epilogue, stream)

    shapes = [((70, 33), (33, 90)), ((3, 5, 17), (17, 9)), ((2, 1, 5, 7), (4, 7, 6)),
              ((7,), (7, 5)), ((3, 4, 7), (7,)), ((7,), (7,))]  # fmt: skip
    for dtype, (left, right) in product(FLOATS, shapes):
        arrays = [values(*left), values(*right, seed=2)]
        with_epilogue = len(left) > 1 and len(right) > 1
        yield case(
            f"MatMul-{dtype.value}-{left}-{right}", MatMul(), arrays, multiply, dtype=dtype,
            epilogue=RESIDUAL if with_epilogue else None, tolerance=1e-5
            if dtype is DataType.FLOAT32 else None,
        )  # fmt: skip
    whole = np.random.default_rng(1).integers(-50, 50, (2, 30, 40)).astype(np.int32)
    yield case("MatMul-int32", MatMul(), [whole, whole.transpose(0, 2, 1).copy()], multiply)
    doubles = values(40, 50).astype(np.float64)
    yield case("MatMul-float64", MatMul(), [doubles, doubles.T.copy()], multiply)

    def connect(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        matmul_cuda.record_fully_connected(inputs, outputs[0], layer.epilogue, stream)

    for dtype, form in product(FLOATS, (LINEAR, LAST)):
        yield case(
            f"FullyConnected-{dtype.value}-{form.value}", FullyConnected(),
            [values(3, 8, 4, 5), values(20, 160, seed=2) / 12, values(20, seed=3)], connect,
            dtype=dtype, form=form, constants=(1, 2), keep=(2,), epilogue=RESIDUAL,
            tolerance=1e-5 if dtype is DataType.FLOAT32 else None,
        )  # fmt: skip

    def by_tiles(tactic: str) -> Any:
        def record(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
            descs = [view.desc for view in inputs]
            ways = FullyConnectedWays(descs, outputs[0].desc, layer.epilogue)
            assert [found.name for found in ways.tactics(tactic)] == [tactic]
            ways.record(Tactic(tactic), inputs, outputs[0], workspace, stream)

        return record

    leaky = Epilogue((EpilogueStep(maximum(Input(0), Input(0) * 0.1), name="leaky"),))
    for dtype, output_dtype, tile, (rows, shape, outputs) in product(
        FLOATS[1:], (None, DataType.FLOAT32), (tile_choice.TILES[0], tile_choice.TILES[9]),
        ((1, (136,), 1000), (70, (136, 1, 1), 21), (5, (8, 3, 5), 64)),
    ):
        yield case(
            f"FullyConnected-{tile.name}-{dtype.value}-{output_dtype}-{rows}", FullyConnected(),
            [values(rows, *shape), values(outputs, prod(shape), seed=2) / np.sqrt(prod(shape)),
             values(outputs, seed=3)], by_tiles(f"cuda:tiles:{tile.name}"), dtype=dtype,
            output_dtype=output_dtype, constants=(1, 2), keep=(2,), epilogue=leaky,
            form=LAST if shape[1:] == (1, 1) else LINEAR, tolerance=2e-4 if output_dtype else None,
        )  # fmt: skip
