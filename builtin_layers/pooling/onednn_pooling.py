"""Pooling by oneDNN: float32 and narrower floats, with post-ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...plugins import DataType, DeviceError, Format, Stream, Tactic, TacticRequest, TensorView
from ..fused_epilogue import FusedEpilogue, fuse
from ..numpy_fallback import NARROW_FLOATS
from ..onednn_product import worth_trying
from ..scratchpad import bind_scratchpad
from ..sliding_window import SlidingWindow

if TYPE_CHECKING:
    from ...plugins.native.onednn import Primitive
    from .layers import Pooling

PREFIX = "onednn:"

FLOATS = (DataType.FLOAT32, *NARROW_FLOATS)


def is_ours(tactic: Tactic) -> bool:
    """Whether the tactic is one of oneDNN's."""
    return tactic.name.startswith(PREFIX)


def primitives(
    layer: Pooling, window: SlidingWindow, request: TacticRequest
) -> dict[str, Primitive]:
    """What oneDNN offers for the request, by the tactic's name."""
    return {name: primitive for name, primitive, _ in _found(layer, window, request)}


def record(
    layer: Pooling,
    window: SlidingWindow,
    inputs: Sequence[TensorView],
    output: TensorView,
    workspace: TensorView | None,
    stream: Stream,
) -> bool:
    """Put the chosen primitive on the stream; False where oneDNN no longer has one."""
    from ...plugins.native.onednn import Argument

    request = TacticRequest(
        tuple(view.desc for view in inputs), (output.desc,), layer.epilogue,
        thread_count=stream.thread_count,
    )  # fmt: skip
    found = _found(layer, window, request)
    if not found:
        return False
    _, primitive, fused = next((f for f in found if f[0] == layer.tactic.name), found[0])
    bindings: dict[int, Any] = {Argument.SRC: inputs[0], Argument.DST: output}
    bindings |= fused.bindings(inputs)
    bindings |= bind_scratchpad(primitive, workspace, stream)
    primitive.record(stream, bindings)
    return True


def _found(
    layer: Pooling, window: SlidingWindow, request: TacticRequest
) -> list[tuple[str, Primitive, FusedEpilogue]]:
    from ...plugins.native import onednn

    source, output = request.inputs[0], request.outputs[0]
    if source.dtype not in FLOATS or not onednn.available():
        return []
    fused = fuse(request.epilogue, request.inputs, output)
    after = window.padding_used(source.sizes[2:], output.sizes[2:])
    # oneDNN divides by whole windows, also where they leave the padding.
    leaves = any(a > b for a, b in zip(after, window.after, strict=True))
    if fused is None or (layer.count_include_padding and leaves):
        return []
    # oneDNN 3.2 transposes linear tensors inside, but not what binary post-ops read.
    if source.format is Format.LINEAR and fused.arguments:
        return []
    algorithm = onednn.Algorithm.POOLING_MAX
    if layer.average:
        algorithm = (
            onednn.Algorithm.POOLING_AVG_INCLUDE_PADDING
            if layer.count_include_padding
            else onednn.Algorithm.POOLING_AVG_EXCLUDE_PADDING
        )
    try:
        found = list(
            onednn.implementations(
                onednn.pooling, algorithm, onednn.MemoryDesc.of(source),
                onednn.MemoryDesc.of(output), kernel=window.kernel, strides=window.strides,
                padding_before=window.before, padding_after=after, dilations=window.dilations,
                attributes=onednn.Attributes(post_ops=fused.post_ops),
                threads=request.thread_count,
            )
        )  # fmt: skip
    except DeviceError:
        return []
    return [(PREFIX + p.implementation, p, fused) for p in worth_trying(found)]
