"""Layers without kernels for CUDA: their kernels for the CPU run between the graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ....plugins import Array, LayerPlugin, Stream, TensorView
from ....plugins.native.immediate import aligned_empty
from ...runtime.weight_store import PackedWeights, RecordingStore
from ..cpu import CpuStream, SlotTable
from ..recorder import BodyRecorder


def record_on_host(
    stream: Stream,
    plugin: LayerPlugin,
    inputs: Sequence[TensorView | None],
    outputs: Sequence[TensorView],
    workspace: TensorView | None,
    packed: PackedWeights,
    threads: int = 1,
    record_body: BodyRecorder | None = None,
    name: str = "",
) -> None:
    """Record a layer's CPU kernels as one host callback on a stream of the GPU.

    `packed` keeps its weights on the host. Tensors may have any format but blocks of channels.
    `record_body` records the bodies of control flow, which run there with it; errors give the
    layer's `name`.
    """
    slots = SlotTable()
    read, written = _Twins(slots), _Twins(slots)
    places = {view.ref for view in outputs}

    def twin(view: TensorView, twins: _Twins) -> TensorView:
        """The tensor on the host, with those that hold its sizes."""
        sizes = {
            axis: twin(size, written if size.ref in places else read)
            for axis, size in view.sizes.items()
        }
        return replace(twins.of(view), sizes=sizes)

    host = CpuStream(slots, RecordingStore(packed, slots), threads, record_body)
    host.begin_layer(name or plugin.type)
    sources = [None if view is None else twin(view, read) for view in inputs]
    targets = [twin(view, written) for view in outputs]
    scratch = None
    if workspace is not None:
        memory = aligned_empty(workspace.desc.nbytes)
        scratch = replace(workspace, slot=slots.bind(memory), offset=0)
    plugin.enqueue(sources, targets, scratch, host)
    recording = host.finish()

    def run(arrays: list[Array], results: list[Array]) -> None:
        for slot, array in zip([*read.slots, *written.slots], [*arrays, *results], strict=True):
            recording.bind(slot, int(array.ctypes.data))
        recording.replay()

    stream.host_callback(run, read.views, written.views)


class _Twins:
    """Tensors on the host that hold the contents of those on a device: one for each place."""

    def __init__(self, slots: SlotTable) -> None:
        self._table = slots
        self._known: dict[object, TensorView] = {}
        self.views: list[TensorView] = []
        """On the device."""
        self.slots: list[int] = []
        """On the host."""

    def of(self, view: TensorView) -> TensorView:
        """The tensor in place of a view."""
        value = view.desc.value
        if view.desc.is_constant and value is not None:
            return replace(view, slot=self._table.bind(value), offset=0)
        key = (view.ref, view.desc.dtype, view.desc.sizes, view.desc.element_strides)
        if key not in self._known:
            self.views.append(view)
            self.slots.append(self._table.reserve())
            self._known[key] = replace(view, slot=self.slots[-1], offset=0)
        return self._known[key]
