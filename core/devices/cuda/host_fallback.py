"""Layers without kernels for CUDA: their kernels for the CPU run between the graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ....plugins import Array, LayerPlugin, Stream, TensorView
from ...runtime.weight_store import PackedWeights, RecordingStore
from ..cpu import CpuStream, SlotTable


def record_on_host(
    stream: Stream,
    plugin: LayerPlugin,
    inputs: Sequence[TensorView | None],
    outputs: Sequence[TensorView],
    workspace: TensorView | None,
    packed: PackedWeights,
    threads: int = 1,
) -> None:
    """Record a layer's CPU kernels as one host callback on a stream of the GPU.

    `packed` keeps its weights on the host. Tensors may have any format but blocks of channels.
    """
    slots = SlotTable()
    twins: dict[int, TensorView] = {}
    given: list[TensorView] = []
    places: list[int] = []

    def twin(view: TensorView) -> TensorView:
        """The tensor on the host; the callback is given its contents."""
        if id(view) not in twins:
            sizes = {axis: twin(size) for axis, size in view.sizes.items()}
            if view.desc.is_constant and view.desc.value is not None:
                slot = slots.bind(view.desc.value)
            else:
                slot = slots.reserve()
                given.append(view)
                places.append(slot)
            twins[id(view)] = replace(view, slot=slot, offset=0, sizes=sizes)
        return twins[id(view)]

    host = CpuStream(slots, RecordingStore(packed, slots), threads)
    host.begin_layer(plugin.type)
    sources = [None if view is None else twin(view) for view in inputs]
    read, targets = len(given), [twin(view) for view in outputs]
    scratch = None if workspace is None else twin(workspace)
    plugin.enqueue(sources, targets, scratch, host)
    recording = host.finish()

    def run(arrays: list[Array], results: list[Array]) -> None:
        for slot, array in zip(places, [*arrays, *results], strict=True):
            recording.bind(slot, int(array.ctypes.data))
        recording.replay()

    stream.host_callback(run, given[:read], given[read:])
