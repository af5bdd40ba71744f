"""Matrix products by our own CUDA kernel: any type with arithmetic, any strides, any epilogue. It
is what is left where no library computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ..plugins import Array, DataType, DeviceError, Epilogue, Format, Stream, TensorDesc, TensorView
from ..plugins.native.cuda.epilogue import AXES, EpilogueSource, epilogue_source
from ..plugins.native.cuda.expression_source import STORED_TYPES
from .kernels_cuda import kernel, stored

TACTIC_NAME = "cuda:tiles"

FILE = "matmul.cu"
LAYOUT = "TTTiiii3i5q5q5q"
SIDE = 64
BATCH_AXES = 3

_MOST_BATCHES = 65535


@dataclass(frozen=True)
class Factors:
    """left [batch..., M, K] times right [batch..., K, N]: the tensors, and their strides in
    elements, 0 where a batch dimension is broadcast."""

    left: TensorView
    right: TensorView
    batch: tuple[int, ...]
    rows: int
    columns: int
    depth: int
    left_strides: tuple[int, ...]
    right_strides: tuple[int, ...]
    result_strides: tuple[int, ...]


def supports(
    inputs: Sequence[TensorDesc | None], output: TensorDesc, epilogue: Epilogue, *,
    bias: int | None = None,
) -> bool:
    """Whether the kernel takes these types, this batch and this epilogue."""
    known = all(desc is None or desc.dtype in STORED_TYPES for desc in (*inputs, output))
    plain = all(desc is None or desc.quantization is None for desc in (*inputs, output))
    if not known or not plain or output.rank > AXES or prod(output.sizes[:-2]) > _MOST_BATCHES:
        return False
    if not epilogue and bias is None:
        return True
    real = output.dtype.is_float and output.dtype is not DataType.FLOAT64
    ranks = [0 if desc is None else desc.rank for desc in inputs[:2]]
    if min(ranks) < 2 and ranks != [1, 2]:
        return False  # the epilogue would count along an axis that a vector leaves out
    return real and _fused(inputs, output, epilogue, bias) is not None


def record_product(
    inputs: Sequence[TensorView], output: TensorView, epilogue: Epilogue, stream: Stream
) -> None:
    """Put inputs[0] @ inputs[1] on the stream, as numpy.matmul broadcasts, then the epilogue with
    the other inputs. Raises DeviceError for what `supports` would have refused."""
    left, right = inputs[0], inputs[1]
    a, a_strides = list(left.shape), list(left.desc.element_strides)
    b, b_strides = list(right.shape), list(right.desc.element_strides)
    c_strides = list(output.desc.element_strides)
    if len(a) == 1:
        a, a_strides = [1, *a], [0, *a_strides]
        c_strides.insert(len(c_strides) - (len(b) > 1), 0)
    if len(b) == 1:
        b, b_strides = [*b, 1], [*b_strides, 0]
        c_strides.append(0)
    batch = np.broadcast_shapes(tuple(a[:-2]), tuple(b[:-2]))
    factors = Factors(
        left, right, batch, a[-2], b[-1], a[-1],
        _batched(a, a_strides, batch), _batched(b, b_strides, batch), tuple(c_strides),
    )  # fmt: skip
    record(factors, inputs, output, epilogue, stream)


def record_fully_connected(
    inputs: Sequence[TensorView | None], output: TensorView, epilogue: Epilogue, stream: Stream
) -> None:
    """Put a FullyConnected layer on the stream: source, weights [M, K], a bias or None if there
    is one, then the epilogue's operands. Raises DeviceError for tensors that do not fit."""
    source, weights = inputs[0], inputs[1]
    if source is None or weights is None or not source.desc.is_dense:
        raise DeviceError("FullyConnected: source and weights must be dense tensors")
    rows, depth = source.shape[0], prod(source.shape[1:])
    columns = output.shape[1]
    used, strides = weights, (1, depth)
    value = weights.desc.value
    if source.desc.format is Format.CHANNELS_LAST and prod(source.shape[2:]) > 1:
        if value is None:
            raise DeviceError("FullyConnected: a channels-last source needs constant weights")
        sizes = source.shape[1:]
        used = stream.store.pack(
            ("cuda fully connected", weights.digest, sizes), lambda: channels_last(value, sizes)
        )
    has_bias = len(inputs) - epilogue.operands > 2 and inputs[2] is not None
    factors = Factors(
        source, used, (), rows, columns, depth,
        (depth, 1), strides, output.desc.element_strides,
    )  # fmt: skip
    record(factors, inputs, output, epilogue, stream, bias=2 if has_bias else None)


def channels_last(weights: Array, sizes: Sequence[int]) -> Array:
    """[M, C * spatial] with each row in the order of a channels-last image [C, spatial...]."""
    split = weights.reshape(weights.shape[0], *sizes)
    return np.ascontiguousarray(np.moveaxis(split, 1, -1)).reshape(weights.shape)


def record(
    factors: Factors, inputs: Sequence[TensorView | None], output: TensorView,
    epilogue: Epilogue, stream: Stream, *, bias: int | None = None,
) -> None:
    """Put a product on the stream, then bias and epilogue. Raises DeviceError."""
    if 0 in output.shape:
        return
    fused = bool(epilogue) or bias is not None
    descs = [None if view is None else view.desc for view in inputs]
    source = _fused(descs, output.desc, epilogue, bias)
    if source is None:
        raise DeviceError("the product's epilogue reads tensors that no CUDA kernel takes")
    left, right = factors.left, factors.right
    names = [stored(view.dtype) for view in (left, right, output)]
    accumulator = _accumulator(left.dtype, output.dtype)
    function = f"matmul<{', '.join(names)}, {accumulator}, {'true' if fused else 'false'}>"
    stream.launch_grid(
        kernel(FILE, function, LAYOUT + source.layout, source.header),
        (-(-factors.columns // SIDE), -(-factors.rows // SIDE), prod(factors.batch)), (256,),
        left, right, output, factors.rows, factors.columns, factors.depth, output.desc.rank,
        _in_batch(factors.batch, 1), _in_batch(factors.left_strides, 0, AXES),
        _in_batch(factors.right_strides, 0, AXES), _in_batch(factors.result_strides, 0, AXES),
        *source.arguments(inputs),
    )  # fmt: skip


def _accumulator(source: DataType, output: DataType) -> str:
    if DataType.FLOAT64 in (source, output):
        return "double"
    return "float" if source.is_float or output.is_float else "long long"


def _fused(
    inputs: Sequence[TensorDesc | None], output: TensorDesc, epilogue: Epilogue, bias: int | None
) -> EpilogueSource | None:
    return epilogue_source(epilogue, inputs, output, 1, along_channels=False, bias=bias)


def _batched(
    sizes: Sequence[int], strides: Sequence[int], batch: tuple[int, ...]
) -> tuple[int, ...]:
    """Strides along the batch's dimensions, 0 where the factor is broadcast, then its own two."""
    missing = len(batch) - (len(sizes) - 2)
    own = [0 if size == 1 else step for size, step in zip(sizes[:-2], strides, strict=False)]
    return (*[0] * missing, *own, *strides[-2:])


def _in_batch(values: Sequence[int], filler: int, count: int = BATCH_AXES) -> tuple[int, ...]:
    return (*[filler] * (count - len(values)), *values)
