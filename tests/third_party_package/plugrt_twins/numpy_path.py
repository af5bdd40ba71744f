"""Running a layer by its NumPy reference, where nothing faster can."""

from __future__ import annotations

from collections.abc import Sequence

from plugrt.plugins import (
    Array,
    Format,
    LayerPlugin,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)

NUMPY = Tactic("numpy", priority=-10)


def tactics(request: TacticRequest) -> tuple[Tactic, ...]:
    """NumPy where it takes the tensors. It fuses nothing: alone an epilogue runs natively."""
    takes = not request.epilogue and are_plain(*request.inputs, *request.outputs)
    return (NUMPY,) if takes else ()


def are_plain(*descs: TensorDesc | None) -> bool:
    """Whether references take these tensors: linear, not quantised."""
    present = [desc for desc in descs if desc is not None]
    return all(d.format is Format.LINEAR and d.quantization is None for d in present)


def record_reference(
    layer: LayerPlugin,
    inputs: Sequence[TensorView | None],
    outputs: Sequence[TensorView],
    stream: Stream,
) -> None:
    """Call the layer's reference at every replay."""

    def run(arrays: list[Array], results: list[Array]) -> None:
        rest = iter(arrays)
        values = [None if view is None else next(rest) for view in inputs]
        for result, value in zip(results, layer.reference(values), strict=True):
            result[...] = value

    stream.host_callback(run, [view for view in inputs if view is not None], outputs)
