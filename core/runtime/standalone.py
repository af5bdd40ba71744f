"""One layer on its own: recorded and replayed. The tuner, folding and the tests use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from ..devices.cpu import CacheState, CpuRecording, CpuStream, SlotTable, Weights
from .buffers import allocate, from_memory, to_memory
from .record_layer import record_layer
from .weight_store import PackedWeights, RecordingStore, digest


@dataclass
class StandaloneLayer:
    """A recorded layer with its buffers; its `with` block ends in `terminate`."""

    plugin: LayerPlugin
    recording: CpuRecording
    outputs: list[tuple[Array, TensorDesc]]
    data_dependent: list[Mapping[int, int]]
    weights: list[Array]
    """Constant inputs and their packed forms."""
    activations: list[Array]
    """The buffers of the other inputs."""

    def stopwatch(self, where: Weights) -> Callable[[], float]:
        """A function that runs the layer once, with its weights there, and returns seconds."""
        return partial(self.recording.time, CacheState(where, self.weights, self.activations))

    def __enter__(self) -> StandaloneLayer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.plugin.terminate()

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


def output_descs(
    plugin: LayerPlugin, inputs: Sequence[TensorDesc | None]
) -> list[TensorDesc]:
    """Descriptions of a layer's outputs at definition time, symbolic dims included."""
    types: Any = [None if desc is None else desc.dtype for desc in inputs]
    given: Any = inputs
    return [
        TensorDesc(
            plugin.getOutputDataType(index, types),
            tuple(plugin.getOutputDimensions(index, given)),
            value=plugin.getOutputValue(index, given),
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
    arrays: Sequence[Array | None],
    *,
    inputs: Sequence[TensorDesc | None] | None = None,
    outputs: Sequence[TensorDesc] | None = None,
    constants: Sequence[int] = (),
    tactic: Tactic | None = None,
    epilogue: Epilogue | None = None,
    threads: int = 2,
    kernel: KernelPlugin | None = None,
    packed: PackedWeights | None = None,
) -> StandaloneLayer:
    """Configure, initialise and record a layer on fresh buffers that hold `arrays` (logical
    order; None for an absent optional input).

    `inputs`/`outputs` fix types, formats and quantization; by default LINEAR. `constants`
    lists the inputs that the layer may pack. Raises PluginError when no tactic fits.
    """
    described = described_as(arrays, inputs, constants)
    epilogue = epilogue or Epilogue()
    own = described[: len(described) - epilogue.operands]
    inferred = output_descs(plugin, own)
    wanted = list(outputs) if outputs is not None else inferred
    concrete = [replace(d, shape=evaluate_shape(d.shape, {}), value=None) for d in wanted]
    given: Any = described
    if tactic is None:
        request = TacticRequest(tuple(given), tuple(concrete), epilogue, thread_count=threads)
        offered = [t for t in plugin.getTactics(request) if t.accumulates_into is None]
        if not offered:
            raise PluginError(f"{plugin.type} offers no tactic for {described} -> {concrete}")
        tactic = offered[0]
    plugin.setTactic(tactic)
    plugin.setEpilogue(epilogue)
    plugin.configure(given, concrete)
    try:
        plugin.initialize()
        packed = packed or PackedWeights()
        recording, buffers, results = _record(
            plugin, kernel, arrays, described, concrete, threads, packed
        )
    except BaseException:
        plugin.terminate()
        raise
    fixed = [k for k, desc in enumerate(described) if desc is not None and desc.is_constant]
    return StandaloneLayer(
        plugin, recording, results, [data_dependent_axes(desc) for desc in inferred],
        [*packed.arrays, *(buffers[k] for k in fixed)],
        [buffer for k, buffer in buffers.items() if k not in fixed],
    )  # fmt: skip


def described_as(
    arrays: Sequence[Array | None], inputs: Sequence[TensorDesc | None] | None,
    constants: Sequence[int],
) -> list[TensorDesc | None]:
    """Descriptions of a layer's arrays: those given, else LINEAR ones; constants have values."""
    if inputs is None:
        inputs = [None if array is None else _desc(array) for array in arrays]
    return [
        replace(desc, value=arrays[index]) if desc is not None and index in constants else desc
        for index, desc in enumerate(inputs)
    ]


def _record(
    plugin: LayerPlugin, kernel: KernelPlugin | None, arrays: Sequence[Array | None],
    inputs: Sequence[TensorDesc | None], outputs: Sequence[TensorDesc], threads: int,
    packed: PackedWeights,
) -> tuple[CpuRecording, dict[int, Array], list[tuple[Array, TensorDesc]]]:
    """The recording, and the buffers of inputs and outputs."""
    slots = SlotTable()
    stream = CpuStream(slots, RecordingStore(packed, slots), threads)
    stream.begin_layer(plugin.type)
    views: list[TensorView | None] = []
    buffers: dict[int, Array] = {}
    for index, (array, desc) in enumerate(zip(arrays, inputs, strict=True)):
        if array is None or desc is None:
            views.append(None)
            continue
        buffers[index] = to_memory(array, desc.format)
        identity = digest(array) if desc.value is not None else None
        views.append(TensorView(desc, slots.bind(buffers[index]), digest=identity))
    results = []
    out_views = []
    into = plugin.tactic.accumulates_into
    for index, desc in enumerate(outputs):
        shared = buffers.get(into) if into is not None and index == 0 else None
        memory = allocate(max(desc.nbytes, 1)) if shared is None else shared
        out_views.append(TensorView(desc, slots.bind(memory)))
        results.append((memory.reshape(-1).view(np.uint8), desc))
    given: Any = inputs
    size = (
        plugin.getWorkspaceSize(given, outputs) if kernel is None
        else kernel.getWorkspaceSize(plugin, given, outputs)
    )
    workspace = None
    if size:
        scratch = allocate(size)
        workspace = TensorView(TensorDesc(DataType.UINT8, (size,)), slots.bind(scratch))
    record_layer(stream, plugin, views, out_views, workspace, kernel)
    return stream.finish(), buffers, results


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
    values = [None if array is None else np.asarray(array) for array in arrays]
    described = described_as(values, inputs, ())
    if formats is not None:
        if len(formats) != len(values):
            raise ShapeError(f"{len(formats)} formats were given for {len(values)} inputs")
        described = [
            None if d is None else replace(d, format=f)
            for d, f in zip(described, formats, strict=True)
        ]
    produced = list(outputs) if outputs is not None else None
    if output_formats is not None:
        operands = epilogue.operands if epilogue else 0
        own = described[: len(described) - operands]
        produced = produced or output_descs(plugin, own)
        produced = [replace(d, format=f) for d, f in zip(produced, output_formats, strict=True)]
    with prepare_layer(
        plugin, values, inputs=described, outputs=produced, constants=constants,
        tactic=tactic, epilogue=epilogue, threads=threads,
    ) as prepared:  # fmt: skip
        prepared.recording.replay()
        return [np.ascontiguousarray(a).reshape(a.shape) for a in prepared.results()]


def _desc(array: Array) -> TensorDesc:
    return TensorDesc(DataType.of(array.dtype), array.shape)
