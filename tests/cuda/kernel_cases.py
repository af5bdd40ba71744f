"""The cases that our own CUDA kernels are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from plugrt.builtin_layers import lrn_cuda
from plugrt.builtin_layers.activations import Mish, Sigmoid
from plugrt.builtin_layers.arithmetic import Add
from plugrt.builtin_layers.axes import normalize_axis
from plugrt.builtin_layers.batch_normalization import Scale
from plugrt.builtin_layers.copy_layers import Reformat
from plugrt.builtin_layers.gather import Gather, gather_cuda
from plugrt.builtin_layers.lrn import LRN
from plugrt.builtin_layers.non_max_suppression import (
    NonMaxSuppression,
    non_max_suppression_cuda,
)
from plugrt.builtin_layers.non_zero import NonZero, non_zero_cuda
from plugrt.builtin_layers.pooling import pooling_cuda
from plugrt.builtin_layers.pooling.layers import (
    AveragePooling,
    GlobalAveragePooling,
    GlobalMaxPooling,
    MaxPooling,
)
from plugrt.builtin_layers.reduction import ArgMax, ReduceMax, ReduceMean, ReduceSum, reduction_cuda
from plugrt.builtin_layers.reduction.strided_plan import StridedPlan
from plugrt.builtin_layers.softmax import LogSoftmax, Softmax, softmax_cuda
from plugrt.builtin_layers.transpose import Transpose
from plugrt.builtin_layers.upsample import Upsample, upsample_cuda
from plugrt.plugins import DataType, Format
from plugrt.plugins.native.cuda import copying, pointwise
from tests.cuda.kernel_harness import FLOATS, RESIDUAL, KernelCase, case, values
from tests.cuda.product_kernel_cases import convolution_cases, product_cases, separable_cases
from tests.cuda.yolo_kernel_cases import boxes_cases, yolo_cases

LINEAR, LAST = Format.LINEAR, Format.CHANNELS_LAST


def pooling_cases() -> Iterator[KernelCase]:
    """Windows of every kind."""

    def record(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        pooling_cuda.record(layer, layer.window(inputs[0].shape), inputs, outputs[0], stream)

    layers = [
        MaxPooling(kernel=(3, 3), strides=(2, 2), padding=(1, 1, 1, 1)),
        MaxPooling(kernel=(2, 2), strides=(1, 1), padding=(0, 0, 1, 1)),
        MaxPooling(kernel=(2, 2), strides=(2, 2)),
        MaxPooling(kernel=(5, 5), padding=(2, 2, 2, 2)),
        MaxPooling(kernel=(3, 2), dilations=(2, 1), strides=(2, 3), ceil_mode=True),
        AveragePooling(kernel=(3, 3), strides=(2, 2), padding=(1, 1, 1, 1), ceil_mode=True),
        AveragePooling(
            kernel=(3, 3), strides=(2, 2), padding=(1, 1, 1, 1), count_include_padding=True
        ),
        GlobalAveragePooling(), GlobalMaxPooling(),
    ]  # fmt: skip
    for (k, layer), dtype, form in product(enumerate(layers), FLOATS, (LINEAR, LAST)):
        for channels, gap, epilogue in ((16, 0, None), (24, 8, RESIDUAL), (5, 3, None)):
            name = f"{layer.type}{k}-{dtype.value}-{form.value}-{channels}"
            yield case(
                name, layer, [values(2, channels, 11, 13)], record, dtype=dtype, form=form,
                gap=gap, epilogue=epilogue,
            )  # fmt: skip
    for layer, dtype in product(
        (MaxPooling(kernel=(5, 5), padding=(2,) * 4), MaxPooling(kernel=(9, 5), strides=(2, 1))),
        FLOATS,
    ):  # fmt: skip
        yield case(
            f"{layer.kernel}-{dtype.value}", layer, [values(2, 64, 11, 13)], record, dtype=dtype,
            form=LAST, epilogue=RESIDUAL, gap=8,
        )  # fmt: skip
    small = np.random.default_rng(2).integers(-128, 128, (2, 32, 9, 9)).astype(np.int8)
    for form in (LINEAR, LAST):
        yield case(f"MaxPooling-int8-{form.value}", layers[0], [small], record, form=form)
    for layer in (MaxPooling(kernel=(2, 2, 2)), MaxPooling(kernel=(3,), strides=(2,))):
        shape = (2, 8, 7, 6, 5)[: 2 + len(layer.kernel)]
        for form in (LINEAR, LAST):
            yield case(f"{layer.kernel}-{form.value}", layer, [values(*shape)], record, form=form)


def upsample_cases() -> Iterator[KernelCase]:
    """Repeated and interpolated."""

    def record(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        upsample_cuda.record(layer, inputs, outputs[0], stream)

    for dtype, form in product(FLOATS, (LINEAR, LAST)):
        for epilogue, gap in ((None, 8), (RESIDUAL, 0)):
            yield case(
                f"nearest-{dtype.value}-{form.value}-{gap}", Upsample(scales=(2, 3)),
                [values(2, 16, 5, 7)], record, dtype=dtype, form=form, epilogue=epilogue, gap=gap,
            )  # fmt: skip
    for coordinates, form in product(upsample_cuda.COORDINATES, (LINEAR, LAST)):
        layer = Upsample(scales=(2, 3), mode="linear", coordinates=coordinates)
        yield case(
            f"linear-{coordinates}-{form.value}", layer, [values(2, 12, 5, 7)], record, form=form,
            tolerance=1e-5,
        )  # fmt: skip
    layer = Upsample(scales=(2, 2, 2), mode="linear")
    yield case("linear-3d", layer, [values(1, 3, 4, 3, 2)], record, tolerance=1e-5)
    yield case("nearest-1d", Upsample(scales=(3,)), [values(1, 3, 5)], record)


def row_cases() -> Iterator[KernelCase]:
    """Softmax, LRN, reductions."""

    def softmax(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        axis = normalize_axis(layer.type, layer.axis, inputs[0].desc.rank)
        softmax_cuda.record(inputs[0], outputs[0], axis, layer.logarithm, stream)

    for dtype, axis, shape in product(
        FLOATS, (-1, 1), ((3, 10), (2, 21, 40), (2, 9000), (1, 1), (2, 1500))
    ):
        for layer in (Softmax(axis=axis), LogSoftmax(axis=axis)):
            yield case(
                f"{layer.type}-{dtype.value}-{axis}-{shape}", layer, [4 * values(*shape)], softmax,
                dtype=dtype, tolerance=1e-5 if dtype is DataType.FLOAT32 else None,
            )  # fmt: skip
    yield case("Softmax-last", Softmax(axis=1), [values(2, 80, 4, 5)], softmax, form=LAST,
               tolerance=1e-5)  # fmt: skip

    def lrn(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        lrn_cuda.record(layer, inputs, outputs[0], stream)

    for dtype, form, beta in product(FLOATS, (LINEAR, LAST), (0.75, 0.5)):
        yield case(
            f"LRN-{dtype.value}-{form.value}-{beta}", LRN(size=5, alpha=0.1, beta=beta),
            [values(2, 11, 4, 5)], lrn, dtype=dtype, form=form, epilogue=RESIDUAL,
            tolerance=1e-5 if dtype is DataType.FLOAT32 else None,
        )  # fmt: skip

    def reduce(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        source, target = inputs[0], outputs[0]
        plan = StridedPlan.of(
            source.desc, target.desc, layer.reduced_axes(source.desc.rank), layer.keep_dims
        )
        reduction_cuda.record(layer.operation, plan, source, target, stream)

    tensor = values(3, 20, 9, 17)
    whole = np.random.default_rng(3).integers(-1000, 1000, (3, 20, 9)).astype(np.int64)
    for kind, axes in product((ReduceSum, ReduceMean, ReduceMax), ((1,), (2, 3), (0, 2), ())):
        for form, keep in ((LINEAR, True), (LAST, True), (LINEAR, False)):
            yield case(
                f"{kind.type}-{axes}-{form.value}-{keep}", kind(axes=axes, keep_dims=keep),
                [tensor], reduce, form=form, tolerance=2e-5,
            )  # fmt: skip
        if max(axes, default=0) < 3 and len(axes) < 2:
            yield case(f"{kind.type}-int64-{axes}", kind(axes=axes), [whole], reduce)
    yield case("ReduceSum-float64", ReduceSum(axes=(1,)), [tensor.astype(np.float64)], reduce)

    def arg_max(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        source, target = inputs[0], outputs[0]
        axis = normalize_axis(layer.type, layer.axis, source.desc.rank)
        plan = StridedPlan.of(source.desc, target.desc, {axis}, layer.keep_dims)
        reduction_cuda.record("arg_max", plan, source, target, stream)

    ties = np.random.default_rng(4).integers(0, 4, (4, 700, 3)).astype(np.float32)
    ties[1, 40:44, 1] = np.nan
    for axis in (0, 1, 2):
        yield case(f"ArgMax-{axis}", ArgMax(axis=axis), [ties], arg_max)
        yield case(f"ArgMax-int8-{axis}", ArgMax(axis=axis), [np.int8(np.nan_to_num(ties))],
                   arg_max)  # fmt: skip


def movement_cases() -> Iterator[KernelCase]:
    """Copies, transpositions and gathers."""

    def copy(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        copying.record(stream, inputs[0], outputs[0])

    def convert(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        copying.record_conversion(stream, inputs[0], outputs[0])

    rng = np.random.default_rng(7)
    formats = ((LINEAR, LAST), (LAST, LINEAR), (LAST, LAST))
    for item, (form, input_form) in product(
        (np.uint8, np.float16, np.float32, np.float64), formats
    ):
        for shape in ((2, 64, 12, 15), (2, 3, 9, 11), (3, 70, 65)):
            array = rng.integers(0, 100, shape).astype(item)
            yield case(
                f"{np.dtype(item).name}-{input_form.value}-{form.value}-{shape}", Reformat(),
                [array], copy, form=form, input_form=input_form, gap=8 if shape[1] == 64 else 0,
            )  # fmt: skip
    for source, result, form in product(FLOATS, FLOATS, (LINEAR, LAST)):
        if source is not result:
            yield case(
                f"{source.value}-{result.value}-{form.value}", Reformat(), [values(2, 40, 9, 12)],
                convert, dtype=source, output_dtype=result, form=form, input_form=LINEAR,
            )  # fmt: skip

    def transpose(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        from plugrt.plugins.native.copying import permuted

        copying.record(stream, permuted(inputs[0], layer.permutation), outputs[0])

    for order in ((2, 0, 1), (0, 2, 1), (2, 1, 0)):
        yield case(f"{order}", Transpose(permutation=order), [values(33, 40, 52)], transpose)

    def gather(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        axis = normalize_axis(layer.type, layer.axis, inputs[0].desc.rank)
        gather_cuda.record(*inputs, outputs[0], axis, stream)

    for dtype, axis, index in product((np.float32, np.uint8), (0, 1, -1), (np.int32, np.int64)):
        indices = np.array([[0, -1], [3, 2]], index)
        data = rng.integers(0, 100, (5, 6, 7)).astype(dtype)
        yield case(f"Gather-{dtype.__name__}-{axis}-{index.__name__}", Gather(axis=axis),
                   [data, indices], gather)  # fmt: skip


def pointwise_cases() -> Iterator[KernelCase]:
    """Expressions with operands of every kind."""

    def record(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        expression = layer._composed(layer.epilogue, [v.desc for v in inputs], outputs[0].desc)
        pointwise.record(stream, expression, inputs, outputs[0])

    for dtype, form in product(FLOATS, (LINEAR, LAST)):
        tolerance = 1e-5 if dtype is DataType.FLOAT32 else None
        for channels, gap in ((16, 0), (24, 8), (5, 3)):
            tensor, tail = values(2, channels, 6, 7), f"{dtype.value}-{form.value}-{channels}"
            options: Any = {"dtype": dtype, "form": form, "gap": gap, "tolerance": tolerance}
            yield case(f"Mish-{tail}", Mish(), [tensor], record, epilogue=RESIDUAL, **options)
            yield case(f"Sigmoid-{tail}", Sigmoid(), [4 * tensor], record, **options)
            yield case(f"Add-{tail}", Add(), [tensor, values(channels, 1, 1)], record, **options)
            yield case(
                f"Scale-{tail}", Scale(), [tensor, values(channels), values(channels, seed=2)],
                record, constants=(1, 2), keep=(1, 2), **options,
            )  # fmt: skip
    whole = np.arange(-40, 40, dtype=np.int32).reshape(8, 10)
    yield case("Add-int32", Add(), [whole, whole[:1]], record)


def detection_cases() -> Iterator[KernelCase]:
    """Layers whose results have sizes that depend on the data."""

    def suppress(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        non_max_suppression_cuda.record(layer, inputs, outputs, workspace, stream)

    rng = np.random.default_rng(8)
    for boxes, classes, spread in ((6, 2, 2.0), (300, 3, 8.0), (3000, 2, 30.0), (5000, 1, 20.0)):
        corner = rng.random((2, boxes, 2), np.float32) * np.float32(spread)
        given = np.concatenate([corner, corner + rng.random((2, boxes, 2), np.float32)], 2)
        scores = np.round(rng.random((2, classes, boxes), np.float32), 2)
        for attributes in (
            {"iou_threshold": 0.3, "score_threshold": 0.4},
            {"max_output_boxes_per_class": 7, "center_point_box": True},
        ):
            yield case(
                f"NonMaxSuppression-{boxes}-{len(attributes)}-{sorted(attributes)[0]}",
                NonMaxSuppression(**attributes), [given, scores], suppress,
                workspace=non_max_suppression_cuda.workspace_size,
            )  # fmt: skip

    def find(layer: Any, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        non_zero_cuda.record(inputs[0], outputs, workspace, stream)

    for shape, dtype in product(((7,), (3, 50, 70), (60000,)), (np.float32, np.int8, np.int64)):
        sparse = rng.integers(0, 3, shape).astype(dtype) * (rng.random(shape) < 0.3).astype(dtype)
        if dtype is np.float32:
            sparse.reshape(-1)[0] = -0.0
        yield case(
            f"NonZero-{shape}-{dtype.__name__}", NonZero(), [sparse], find,
            workspace=non_zero_cuda.workspace_size,
        )  # fmt: skip


GROUPS = {
    "pooling": pooling_cases, "upsample": upsample_cases, "rows": row_cases,
    "convolution": convolution_cases, "separable": separable_cases,
    "products": product_cases, "movement": movement_cases,
    "pointwise": pointwise_cases, "detection": detection_cases,
    "yolo": yolo_cases, "boxes": boxes_cases,
}  # fmt: skip
