"""Activation of detection layers on a GPU: values of any float type and strides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plugrt.plugins import DataType, Stream, TensorView
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
        kernel(FILE, "softmax_planes" + types, f"TTTI{SHAPE}iif4q4q"), blocks(count), (THREADS,),
        source, output, held, count, *shape, planes.softmax, len(groups), 1.0, *strides,
    )  # fmt: skip
