"""Activation of detection layers on a GPU: values of any float type and strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from plugrt.plugins import (
    DataType,
    Format,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)
from plugrt.plugins.native.cuda.expression_source import STORED_TYPES

from ..cuda_kernels import THREADS, blocks, kernel

if TYPE_CHECKING:
    from .anchor_layer import AnchorLayer

TYPES = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)
"""Types of the input; the output is best float32."""

FILE = "layers/anchors.cu"
MOST_RUNS = 8
SHAPE = "iiii"
"""Anchors, planes of one, height and width."""

SOFTMAX = f"TTTI{SHAPE}iif4q4q"

FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

NAME = "cuda"


def takes(source: TensorDesc, output: TensorDesc) -> bool:
    """Whether the kernels read and write such tensors: any floats in, plain float32 out."""
    return (
        source.dtype in TYPES
        and source.format in FORMATS
        and output.dtype is DataType.FLOAT32
        and output.format is Format.LINEAR
        and source.quantization is output.quantization is None
    )


def tactics(layer: AnchorLayer, request: TacticRequest) -> Sequence[Tactic]:
    """The kernels' tactic where they compute the request."""
    source, output = request.inputs[0], request.outputs[0]
    if request.epilogue or not takes(source, output) or len(layer.planes.runs) > MOST_RUNS:
        return ()
    first = frozenset({0})
    same = (source.dtype, source.format) == (output.dtype, output.format)
    return (
        Tactic(
            NAME, strided_inputs=first, strided_outputs=first,
            may_alias=first if same else frozenset(),
        ),
    )  # fmt: skip


def record(layer: AnchorLayer, source: TensorView, output: TensorView, stream: Stream) -> None:
    """Put the layer on the stream. In place or not; formats may differ."""
    images, _, height, width = source.shape
    planes, anchors = layer.planes, layer.anchor_count
    types = f"<{STORED_TYPES[source.dtype]}, {STORED_TYPES[output.dtype]}>"
    ends, rules = zip(*planes.runs, strict=True)
    strides = (source.desc.element_strides, output.desc.element_strides)
    area = images * anchors * height * width
    shape = (anchors, planes.count, height, width)
    count = area * ends[-1]
    layout = f"TTI{SHAPE}{MOST_RUNS}i{MOST_RUNS}iiff4q4q"
    stream.launch_grid(
        kernel(FILE, "activate_planes" + types, layout), blocks(count), (THREADS,),
        source, output, count, *shape, ends, rules, len(ends), layer.scale_x_y,
        -0.5 * (layer.scale_x_y - 1), *strides,
    )  # fmt: skip
    if planes.softmax < 0:
        return
    groups = np.asarray(planes.groups, np.int32)
    held = stream.store.pack(("Darknet.groups", groups.tobytes()), lambda: groups)
    count = area * len(groups)
    stream.launch_grid(
        kernel(FILE, "softmax_planes" + types, SOFTMAX), blocks(count), (THREADS,),
        source, output, held, count, *shape, planes.softmax, len(groups), 1.0, *strides,
    )  # fmt: skip


def record_softmax(
    source: TensorView, output: TensorView, ends: TensorView, groups: int, stream: Stream,
    factor: float = 1.0,
) -> None:  # fmt: skip
    """Put softmax of `factor` times the values over groups of columns on the stream, for plain
    float32 [N, columns]; group k ends before column ends[k], and columns behind the last one are
    left alone. In place or not."""
    images, columns = source.shape
    count = images * groups
    strides = ((columns, 1, 0, 0), (columns, 1, 0, 0))
    if count:
        stream.launch_grid(
            kernel(FILE, "softmax_planes<float, float>", SOFTMAX), blocks(count), (THREADS,),
            source, output, ends, count, 1, columns, 1, 1, 0, groups, factor, *strides,
        )  # fmt: skip
