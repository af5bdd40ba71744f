"""Normalization over channels on a GPU."""

from __future__ import annotations

from math import prod

from plugrt.plugins import Stream, TensorView

from ..cuda_kernels import THREADS, blocks, kernel

FILE = "layers/channels.cu"


def record(kind: int, source: TensorView, output: TensorView, stream: Stream) -> None:
    """Put the layer on the stream, for plain float32 tensors [N, C, ...]; `kind` is the number
    of one of its KINDS. In place or not."""
    images, channels, *spatial = source.shape
    area = prod(spatial)
    count = images * area
    if count:
        stream.launch_grid(
            kernel(FILE, f"normalize_channels<{kind}>", "TTIiI"), blocks(count), (THREADS,),
            source, output, count, channels, area,
        )  # fmt: skip
