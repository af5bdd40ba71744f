"""The NumPy reference as the last way to run a layer: correct everywhere, fast nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from ..plugins import (
    Array,
    Combination,
    DataType,
    DeviceError,
    Format,
    LayerPlugin,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)

NARROW_FLOATS = (DataType.BFLOAT16, DataType.FLOAT16)

NUMPY = Tactic("numpy", priority=-10)
"""Offered where nothing else can run a configuration."""


def tactics(request: TacticRequest) -> list[Tactic]:
    """NumPy's tactic where the reference takes the tensors as they are. Nothing is fused into it:
    as a layer of its own an epilogue runs natively. On another device there is none: the core
    then runs the layer's best way for the CPU on the host."""
    if request.epilogue or request.device != "cpu":
        return []
    return [NUMPY] if is_plain(Combination(request.inputs, request.outputs)) else []


def is_plain(combination: Combination) -> bool:
    """True when every tensor is linear and not quantised, as references take them."""
    return all(
        desc is None or _is_plain(desc) for desc in (*combination.inputs, *combination.outputs)
    )


def is_float32(descs: Sequence[TensorDesc | None]) -> bool:
    """True when every tensor holds float32 values."""
    return all(
        desc is None or (desc.dtype is DataType.FLOAT32 and desc.quantization is None)
        for desc in descs
    )


def is_narrow_float(
    product: tuple[TensorDesc, TensorDesc, TensorDesc], bias: TensorDesc | None = None
) -> bool:
    """True for a product of two tensors of one 16-bit float type; the result is of this type or
    float32, and the bias too."""
    first, second, result = product
    rest = [result] if bias is None else [result, bias]
    return (
        first.dtype is second.dtype
        and first.dtype in NARROW_FLOATS
        and all(desc.dtype in (first.dtype, DataType.FLOAT32) for desc in rest)
    )


def record_reference(
    layer: LayerPlugin,
    inputs: Sequence[TensorView | None],
    outputs: Sequence[TensorView],
    stream: Stream,
) -> None:
    """Record the layer's reference as a host callback.

    Raises DeviceError for what `tactics` would not offer: a plan tuned for natively run formats
    or epilogues can come to a machine without what ran them.
    """
    descs = [view.desc for view in (*inputs, *outputs) if view is not None]
    if layer.epilogue or not all(map(_is_plain, descs)):
        described = ", ".join(map(str, descs))
        raise DeviceError(
            f"{layer.type} ({described}) was tuned for kernels that are missing here; build the "
            "plan again on this machine, or install what `plugrt doctor` names"
        )
    present = [view for view in inputs if view is not None]

    def run(arrays: list[Array], results: list[Array]) -> None:
        given = iter(arrays)
        values = [None if view is None else next(given) for view in inputs]
        for result, value in zip(results, layer.reference(values), strict=True):
            result[...] = value

    stream.host_callback(run, present, outputs)


def _is_plain(desc: TensorDesc) -> bool:
    return desc.format is Format.LINEAR and desc.quantization is None
