"""One layer on its own on a GPU: recorded, replayed, timed. Tests and tuning use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....plugins import (
    Array,
    DataType,
    Epilogue,
    KernelPlugin,
    LayerPlugin,
    PluginError,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)
from ....plugins.dims import evaluate_shape
from ....plugins.native.cuda import Context
from ...runtime.buffers import from_memory, to_memory
from ...runtime.record_layer import record_layer
from ...runtime.standalone import data_dependent_axes, described_as, output_descs
from ...runtime.weight_store import digest
from .memory import DeviceBuffer
from .recording import CudaRecording
from .slots import CudaSlots
from .stream import CudaStream
from .timing import Stopwatch
from .weights import DeviceWeights

POISON = 0xFF
"""Every byte of an output before it is written: a NaN in each float type."""


@dataclass
class GpuLayer:
    """A recorded layer with its buffers on the GPU; its `with` block ends in `terminate`."""

    plugin: LayerPlugin
    recording: CudaRecording
    outputs: list[tuple[DeviceBuffer, TensorDesc]]
    _inferred: list[TensorDesc]

    def __enter__(self) -> GpuLayer:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.recording.synchronize()
        finally:
            self.plugin.terminate()

    def replay(self) -> None:
        """Run once and wait. Raises DeviceError when a kernel fails."""
        self.recording.replay()
        self.recording.synchronize()

    def stopwatch(self, cold: bool = False) -> Stopwatch:
        """What times it; `cold`: with nothing in the second-level cache."""
        return Stopwatch(self.recording, cold)

    def results(self) -> list[Array]:
        """The outputs as logical arrays, cut to their data-dependent sizes."""
        arrays = [_logical(buffer, desc) for buffer, desc in self.outputs]
        cut = []
        for array, desc in zip(arrays, self._inferred, strict=True):
            index: list[Any] = [slice(None)] * array.ndim
            for axis, output in data_dependent_axes(desc).items():
                index[axis] = slice(int(arrays[output].reshape(-1)[0]))
            cut.append(array[tuple(index)])
        return cut


def prepare_on_gpu(
    plugin: LayerPlugin,
    arrays: Sequence[Array | None],
    *,
    inputs: Sequence[TensorDesc | None] | None = None,
    outputs: Sequence[TensorDesc] | None = None,
    constants: Sequence[int] = (),
    tactic: Tactic | str | None = None,
    epilogue: Epilogue | None = None,
    kernel: KernelPlugin | None = None,
    ordinal: int = 0,
) -> GpuLayer:
    """Configure, initialise and record a layer on fresh buffers that hold `arrays` (logical
    order; None for an absent optional input).

    `inputs`/`outputs` fix types, formats, strides and quantization; by default LINEAR. A
    `tactic` may be given by name. `constants` lists the inputs that the layer may pack. Raises
    PluginError when no tactic fits, DeviceError without a GPU.
    """
    context = Context.of(ordinal)
    epilogue = epilogue or Epilogue()
    described = described_as(arrays, inputs, constants)
    given: Any = described
    inferred = output_descs(plugin, given[: len(given) - epilogue.operands])
    wanted = inferred if outputs is None else list(outputs)
    concrete = [replace(d, shape=evaluate_shape(d.shape, {}), value=None) for d in wanted]
    plugin.setTactic(_chosen(plugin, kernel, tactic, given, concrete, epilogue))
    plugin.setEpilogue(epilogue)
    plugin.configure(given, concrete)
    try:
        plugin.initialize()
        recording, results = _recording(context, plugin, kernel, arrays, described, concrete)
        recording.instance()
    except BaseException:
        plugin.terminate()
        raise
    return GpuLayer(plugin, recording, results, inferred)


def run_on_gpu(plugin: LayerPlugin, arrays: Sequence[Any], **options: Any) -> list[Array]:
    """Run one layer once; logical arrays out. Options and errors of `prepare_on_gpu`.

    Outputs are poisoned before, so that what is not written is found in them.
    """
    values = [None if array is None else np.asarray(array) for array in arrays]
    with prepare_on_gpu(plugin, values, **options) as prepared:
        prepared.replay()
        return [np.ascontiguousarray(a).reshape(a.shape) for a in prepared.results()]


def _chosen(
    plugin: LayerPlugin, kernel: KernelPlugin | None, tactic: Tactic | str | None,
    inputs: Sequence[Any], outputs: Sequence[TensorDesc], epilogue: Epilogue,
) -> Tactic:
    if isinstance(tactic, Tactic):
        return tactic
    device = "cuda" if kernel is not None or "cuda" in plugin.devices else "cpu"
    request = TacticRequest(tuple(inputs), tuple(outputs), epilogue, device, name=tactic)
    offered = (
        plugin.getTactics(request) if kernel is None else kernel.getTactics(plugin, request)
    )
    usable = [t for t in offered if tactic in (None, t.name)]
    if tactic is None:
        usable = [t for t in usable if t.accumulates_into is None]
    if not usable:
        names = ", ".join(repr(t.name) for t in offered) or "none"
        raise PluginError(
            f"{plugin.type} offers no tactic {tactic or ''} for {inputs} -> {list(outputs)} on "
            f"the GPU; it offers {names}"
        )
    return usable[0]


def _recording(
    context: Context, plugin: LayerPlugin, kernel: KernelPlugin | None,
    arrays: Sequence[Array | None], inputs: Sequence[TensorDesc | None],
    outputs: Sequence[TensorDesc],
) -> tuple[CudaRecording, list[tuple[DeviceBuffer, TensorDesc]]]:
    slots = CudaSlots(DeviceWeights(context))
    views: list[TensorView | None] = []
    for array, desc in zip(arrays, inputs, strict=True):
        if array is None or desc is None:
            views.append(None)
            continue
        identity = digest(array) if desc.value is not None else None
        if desc.value is not None:
            slot = slots.bind(to_memory(array, desc.format))
        else:
            slot = slots.bind(DeviceBuffer.of(context, _stored(array, desc)))
        views.append(TensorView(desc, slot, digest=identity))
    into = plugin.tactic.accumulates_into
    results: list[tuple[DeviceBuffer, TensorDesc]] = []
    out_views = []
    for index, desc in enumerate(outputs):
        if into is not None and index == 0:
            buffer = DeviceBuffer.of(context, _stored(_given(arrays, into), desc))
            views[into] = TensorView(desc, slots.bind(buffer))
        else:
            buffer = DeviceBuffer(context, max(desc.nbytes, 1))
            buffer.fill(POISON)
        out_views.append(TensorView(desc, slots.bind(buffer)))
        results.append((buffer, desc))
    given: Any = inputs
    size = (
        plugin.getWorkspaceSize(given, outputs) if kernel is None
        else kernel.getWorkspaceSize(plugin, given, outputs)
    )
    workspace = None
    if size:
        scratch = DeviceBuffer(context, size)
        scratch.fill(POISON)
        workspace = TensorView(TensorDesc(DataType.UINT8, (size,)), slots.bind(scratch))

    def record(stream: CudaStream) -> None:
        stream.begin_layer(plugin.type)
        record_layer(stream, plugin, views, out_views, workspace, kernel)

    return CudaRecording(context, slots, record), results


def _given(arrays: Sequence[Array | None], index: int) -> Array:
    array = arrays[index]
    if array is None:
        raise PluginError(f"input {index}, which the tactic adds into, is absent")
    return array


def _stored(array: Array, desc: TensorDesc) -> Array:
    """The bytes of a tensor as the description lays them out, gaps poisoned."""
    if desc.is_dense:
        return to_memory(array, desc.format)
    memory = np.full(desc.nbytes, POISON, np.uint8)
    _strided(memory, desc)[...] = array
    return memory


def _logical(buffer: DeviceBuffer, desc: TensorDesc) -> Array:
    memory = buffer.read(desc.nbytes)
    if desc.is_dense:
        return from_memory(memory.view(desc.dtype.numpy), desc.sizes, desc.format)
    return _strided(memory, desc)


def _strided(memory: Array, desc: TensorDesc) -> Array:
    item = desc.dtype.itemsize
    strides = [step * item for step in desc.element_strides]
    return np.ndarray(desc.sizes, desc.dtype.numpy, memory.data, 0, strides)


