"""One layer on its own: recorded and replayed. The tuner, folding and the tests use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...plugins import (
    Array,
    DataType,
    Epilogue,
    Format,
    KernelPlugin,
    LayerPlugin,
    PluginError,
    ShapeError,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)
from ...plugins.dims import DATA_DEPENDENT, evaluate_shape, symbols
from ..devices.cpu import CpuRecording, CpuStream, SlotTable
from .buffers import allocate, from_memory, to_memory
from .record_layer import record_layer
from .weight_store import PackedWeights, RecordingStore, digest


@dataclass
class StandaloneLayer:
    """A recorded layer with its buffers."""

    recording: CpuRecording
    outputs: list[tuple[Array, TensorDesc]]
    data_dependent: list[Mapping[int, int]]

    def results(self) -> list[Array]:
        """The outputs as logical arrays, cut to their data-dependent sizes."""
        arrays = [
            from_memory(
                memory[: desc.nbytes].view(desc.dtype.numpy), desc.sizes, desc.format
            )
            for memory, desc in self.outputs
        ]
        cut = []
        for array, sizes in zip(arrays, self.data_dependent, strict=True):
            index: list[Any] = [slice(None)] * array.ndim
            for axis, output in sizes.items():
                index[axis] = slice(int(arrays[output].reshape(-1)[0]))
            cut.append(array[tuple(index)])
        return cut


def output_descs(plugin: LayerPlugin, inputs: Sequence[TensorDesc]) -> list[TensorDesc]:
    """Descriptions of a layer's outputs at definition time, symbolic dims included."""
    types = [desc.dtype for desc in inputs]
    return [
        TensorDesc(
            plugin.getOutputDataType(index, types),
            tuple(plugin.getOutputDimensions(index, inputs)),
            value=plugin.getOutputValue(index, inputs),
        )
        for index in range(plugin.getNbOutputs())
    ]


def data_dependent_axes(desc: TensorDesc) -> dict[int, int]:
    """Axis -> index of the output that holds its size, for a layer's own dims."""
    found = {}
    for axis, dim in enumerate(desc.shape):
        for name in symbols(dim):
            if name.startswith(DATA_DEPENDENT):
                found[axis] = int(name.removeprefix(DATA_DEPENDENT))
    return found


def prepare_layer(
    plugin: LayerPlugin,
    arrays: Sequence[Array],
    *,
    inputs: Sequence[TensorDesc] | None = None,
    outputs: Sequence[TensorDesc] | None = None,
    constants: Sequence[int] = (),
    tactic: Tactic | None = None,
    epilogue: Epilogue | None = None,
    threads: int = 2,
    kernel: KernelPlugin | None = None,
    packed: PackedWeights | None = None,
) -> StandaloneLayer:
    """Record a layer on fresh buffers that hold `arrays` (logical order).

    `inputs`/`outputs` fix types, formats and quantization; by default LINEAR. `constants`
    lists the inputs that the layer may pack. Raises PluginError when no tactic fits.
    """
    described = list(inputs) if inputs is not None else [_desc(array) for array in arrays]
    for index in constants:
        described[index] = replace(described[index], value=arrays[index])
    epilogue = epilogue or Epilogue()
    own = described[: len(described) - epilogue.operands]
    inferred = output_descs(plugin, own)
    wanted = list(outputs) if outputs is not None else inferred
    concrete = [replace(d, shape=evaluate_shape(d.shape, {}), value=None) for d in wanted]
    request = TacticRequest(tuple(described), tuple(concrete), epilogue, thread_count=threads)
    if tactic is None:
        offered = list(plugin.getTactics(request))
        offered = [t for t in offered if t.accumulates_into is None]
        if not offered:
            raise PluginError(f"{plugin.type} offers no tactic for {described} -> {concrete}")
        tactic = offered[0]
    plugin.setTactic(tactic)
    plugin.setEpilogue(epilogue)
    plugin.configure(described, concrete)

    slots = SlotTable()
    stream = CpuStream(slots, RecordingStore(packed or PackedWeights(), slots), threads)
    stream.begin_layer(plugin.type)
    views = []
    buffers = []
    for array, desc in zip(arrays, described, strict=True):
        memory = to_memory(array, desc.format)
        buffers.append(memory)
        identity = digest(array) if desc.value is not None else None
        views.append(TensorView(desc, slots.bind(memory), digest=identity))
    results = []
    out_views = []
    for index, desc in enumerate(concrete):
        if index == 0 and tactic.accumulates_into is not None:
            memory = buffers[tactic.accumulates_into].reshape(-1).view(np.uint8)
        else:
            memory = allocate(max(desc.nbytes, 1))
        results.append((memory, desc))
        out_views.append(TensorView(desc, slots.bind(memory)))
    workspace = None
    owner = kernel or plugin
    size = (
        kernel.getWorkspaceSize(plugin, described, concrete)
        if kernel is not None
        else plugin.getWorkspaceSize(described, concrete)
    )
    if size:
        scratch = allocate(size)
        workspace = TensorView(TensorDesc(DataType.UINT8, (size,)), slots.bind(scratch))
        stream.keep(scratch)
    record_layer(stream, plugin, views, out_views, workspace, kernel)
    stream.keep((buffers, owner))
    return StandaloneLayer(
        stream.finish(), results, [data_dependent_axes(desc) for desc in inferred]
    )


def run_layer(
    plugin: LayerPlugin,
    arrays: Sequence[Any],
    *,
    formats: Sequence[Format] | None = None,
    output_formats: Sequence[Format] | None = None,
    constants: Sequence[int] = (),
    tactic: Tactic | None = None,
    epilogue: Epilogue | None = None,
    threads: int = 2,
    inputs: Sequence[TensorDesc] | None = None,
    outputs: Sequence[TensorDesc] | None = None,
) -> list[Array]:
    """Run one layer on NumPy arrays by recording and replaying it; logical arrays out.

    `formats` gives one memory format per input, `output_formats` one per output; inputs with
    `epilogue` operands include those. `inputs`/`outputs` give whole descriptions instead.
    """
    values = [np.asarray(array) for array in arrays]
    described = list(inputs) if inputs is not None else [_desc(value) for value in values]
    if formats is not None:
        if len(formats) != len(values):
            raise ShapeError(f"{len(formats)} formats were given for {len(values)} inputs")
        described = [replace(d, format=f) for d, f in zip(described, formats, strict=True)]
    produced = list(outputs) if outputs is not None else None
    if output_formats is not None:
        operands = epilogue.operands if epilogue else 0
        own = described[: len(described) - operands]
        produced = produced or output_descs(plugin, own)
        produced = [replace(d, format=f) for d, f in zip(produced, output_formats, strict=True)]
    plugin.initialize()
    try:
        prepared = prepare_layer(
            plugin, values, inputs=described, outputs=produced, constants=constants,
            tactic=tactic, epilogue=epilogue, threads=threads,
        )  # fmt: skip
        prepared.recording.replay()
        return [np.ascontiguousarray(a).reshape(a.shape) for a in prepared.results()]
    finally:
        plugin.terminate()


def _desc(array: Array) -> TensorDesc:
    return TensorDesc(DataType.of(array.dtype), array.shape)
