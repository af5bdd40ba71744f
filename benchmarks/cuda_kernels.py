"""Our own CUDA kernels beside a device copy: microseconds, and the share of the copy's bandwidth.

    python -m benchmarks.cuda_kernels [--only TEXT ...] [--json FILE]

Bytes are those that a kernel cannot avoid: every input read once, every output written once.
Times are medians of graph replays; most tensors are several times the second-level cache.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cuda_product_rows import FLOAT, HALF, LAST, LINEAR, Row, product_rows
from plugrt.builtin_layers import activations, arithmetic
from plugrt.builtin_layers.copy_layers import Reformat
from plugrt.builtin_layers.pooling import pooling_cuda
from plugrt.builtin_layers.pooling.layers import GlobalAveragePooling, MaxPooling
from plugrt.builtin_layers.softmax import Softmax, softmax_cuda
from plugrt.builtin_layers.upsample import Upsample, upsample_cuda
from plugrt.core.devices.cuda.standalone import prepare_on_gpu
from plugrt.core.runtime.standalone import output_descs
from plugrt.plugins import (
    Array,
    DataType,
    Epilogue,
    Format,
    KernelPlugin,
    LayerPlugin,
    Stream,
    Tactic,
    TensorDesc,
)
from plugrt.plugins.native.cuda import copying, pointwise


class Recorded(KernelPlugin):
    """A recording function in the place of a layer's own."""

    name = "benchmark"
    layer = "any"

    def __init__(self, record: Any) -> None:
        self._record = record

    def getTactics(self, layer: LayerPlugin, request: Any) -> Sequence[Tactic]:
        return (Tactic("benchmark"),)

    def enqueue(
        self, layer: LayerPlugin, inputs: Sequence[Any], outputs: Sequence[Any],
        workspace: Any, stream: Stream,
    ) -> None:
        self._record(layer, inputs, outputs[0], stream)


def rows() -> Iterator[Row]:
    """What is measured."""
    copy = lambda layer, i, o, s: copying.record(s, i[0], o)  # noqa: E731
    convert = lambda layer, i, o, s: copying.record_conversion(s, i[0], o)  # noqa: E731
    large = (32, 256, 112, 112)
    last, linear = TensorDesc(HALF, large, LAST), TensorDesc(HALF, large)
    yield "copy fp16 (a fourth of it)", Reformat(), large, last, last, copy, ()
    yield "linear to channels-last fp16", Reformat(), large, linear, last, copy, ()
    yield "channels-last to linear fp16", Reformat(), large, last, linear, copy, ()
    single = TensorDesc(FLOAT, large)
    yield "linear fp32 to channels-last fp16", Reformat(), large, single, last, convert, ()
    yield "fp32 to fp16", Reformat(), large, single, linear, convert, ()

    def express(layer: Any, inputs: Any, output: Any, stream: Any) -> None:
        descs = [view.desc for view in inputs]
        pointwise.record(
            stream, layer._composed(Epilogue(), descs, output.desc), inputs, output
        )

    for layer in (activations.Mish(), activations.Swish(), activations.LeakyReLU()):
        yield f"{layer.type} fp16", layer, large, last, last, express, ()
    other = numbers(large, HALF, LAST)
    yield "Add fp16", arithmetic.Add(), large, last, last, express, (other,)

    def pool(layer: Any, inputs: Any, output: Any, stream: Any) -> None:
        pooling_cuda.record(layer, layer.window(inputs[0].shape), inputs, output, stream)

    for name, pooling, shape in (
        ("resnet 3x3/2", MaxPooling(kernel=(3, 3), strides=(2, 2), padding=(1,) * 4),
         (128, 64, 112, 112)),
        ("2x2/2", MaxPooling(kernel=(2, 2), strides=(2, 2)), (32, 64, 208, 208)),
        ("SPP 5", MaxPooling(kernel=(5, 5), padding=(2,) * 4), (32, 512, 19, 19)),
        ("SPP 13", MaxPooling(kernel=(13, 13), padding=(6,) * 4), (32, 512, 19, 19)),
        ("global", GlobalAveragePooling(), (128, 2048, 7, 7)),
    ):
        desc = TensorDesc(HALF, shape, LAST)
        yield f"pooling {name} fp16", pooling, shape, desc, desc, pool, ()

    def enlarge(layer: Any, inputs: Any, output: Any, stream: Any) -> None:
        upsample_cuda.record(layer, inputs, output, stream)

    small = TensorDesc(HALF, (32, 256, 52, 52), LAST)
    yield "upsample nearest x2 fp16", Upsample(), small.sizes, small, small, enlarge, ()

    def normalise(layer: Any, inputs: Any, output: Any, stream: Any) -> None:
        softmax_cuda.record(inputs[0], output, layer.axis, False, stream)

    scores = TensorDesc(FLOAT, (8192, 1000))
    yield "softmax 1000", Softmax(axis=1), scores.sizes, scores, scores, normalise, ()

    yield from product_rows()


@lru_cache(maxsize=2)
def numbers(shape: tuple[int, ...], dtype: DataType, form: Format = LINEAR) -> Array:
    """Normal numbers, the same million again and again, which lie as the format says."""
    some = np.random.default_rng(0).standard_normal(1_000_003, np.float32).astype(dtype.numpy)
    if form is LINEAR:
        return np.resize(some, shape)
    return np.moveaxis(np.resize(some, (shape[0], *shape[2:], shape[1])), -1, 1)


def measure(row: Row) -> tuple[float, int]:
    """(seconds, bytes) of one row."""
    _, layer, shape, source, output, record, arrays = row
    first = numbers(shape, source.dtype, source.format)
    descs = [source, *(TensorDesc(DataType.of(a.dtype), a.shape) for a in arrays)]
    if arrays and arrays[0].shape == shape:
        descs[1] = source
    (inferred,) = output_descs(layer, descs)
    result = TensorDesc(output.dtype, inferred.sizes, output.format)
    constants = [k for k in range(1, len(descs)) if arrays[k - 1].shape != shape]
    with prepare_on_gpu(
        layer, [first, *arrays], inputs=descs, outputs=[result], constants=constants,
        kernel=record if isinstance(record, KernelPlugin) else Recorded(record),
    ) as prepared:  # fmt: skip
        seconds = prepared.stopwatch().seconds(15)
    return seconds, sum(desc.nbytes for desc in (*descs, result))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="*", default=[""], help="measure rows whose name contains one of these"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    copied: float | None = None
    found = []
    for row in rows():
        if copied is not None and not any(part in row[0] for part in options.only):
            continue
        seconds, nbytes = measure(row)
        rate = nbytes / seconds
        copied = copied or rate
        found.append({"name": row[0], "seconds": seconds, "bytes": nbytes, "share": rate / copied})
        figures = f"{seconds * 1e6:9.1f} us {rate / 1e9:8.0f} GB/s {rate / copied:6.2f}"
        print(f"{row[0]:45} {figures}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
