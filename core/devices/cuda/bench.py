"""Timing candidates on a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ....plugin_registry import Registry
from ....plugins import (
    Array,
    DataType,
    Format,
    KernelPlugin,
    LayerPlugin,
    TensorDesc,
    TensorView,
)
from ....plugins.native.cuda import Context
from ....plugins.native.cuda.driver_calls import call
from ...graph import Layer
from ...graph.naming import naming_layer
from ...passes.copying import copy_plugin
from ...runtime.buffers import to_memory
from ...runtime.record_layer import record_layer
from ...runtime.weight_store import digest
from ...tuning.bench import Run, Sample, TuningBench
from ...tuning.candidates import Candidate
from ...tuning.effort import Effort
from ..cpu import Weights
from ..target import Target
from .compiling import compile_all
from .events import DeviceStream
from .memory import DeviceBuffer
from .recording import CudaRecording
from .slots import CudaSlots
from .stream import CudaStream
from .timing import Stopwatch
from .weights import DeviceWeights

FAST = Effort("fast", 3, 4, 1.0, ((1, 0.3), (2, 0.1)))
"""One sample is the mean of many runs, so that few of them tell candidates apart."""

FULL = Effort("full", 7, 15, 1.0)

MOST_WEIGHTS = 512 << 20
"""Bytes of packed weights that are kept for candidates to come."""

PIECE = 1 << 16
"""Random numbers that activations repeat: no kernel's time depends on more."""


class CudaBench(TuningBench):
    """A stopwatch of the GPU's own. Buffers and weights stay there from candidate to candidate,
    since filling them takes longer than timing."""

    efforts = {"fast": FAST, "full": FULL, "off": None}
    promising = 1.15

    def __init__(self, registry: Registry, ordinal: int, threads: int) -> None:
        self._registry = registry
        self._context = Context.of(ordinal)
        self._target = Target("cuda", ordinal, threads)
        self._weights = DeviceWeights(self._context, threads)
        self._buffers: dict[tuple[object, ...], DeviceBuffer] = {}
        self._constants: dict[tuple[int, object], tuple[Array, Array, str]] = {}

    def weights_of(self, touched: int) -> Weights:
        return Weights.MEMORY if touched > self._context.properties.l2_bytes else Weights.L2

    def guess(self, nbytes: int) -> float:
        """2 TB/s and 2 microseconds."""
        return 2e-6 + nbytes / 2e12

    @contextmanager
    def prepared(
        self, layer: Layer, candidate: Candidate, sample: Sample, where: Weights
    ) -> Iterator[Run]:
        plugin = copy_plugin(layer.plugin)
        kernel = None
        if candidate.kernel is not None:
            kernel = self._registry.get("kernels", candidate.kernel)()
        given: Any = candidate.inputs
        plugin.setTactic(candidate.tactic)
        plugin.setEpilogue(layer.epilogue)
        plugin.configure(given, candidate.outputs)
        try:
            plugin.initialize()
            recording = self._recorded(plugin, kernel, candidate, sample)
            try:
                near = [
                    (buffer.address, desc.nbytes) for index, desc in enumerate(candidate.inputs)
                    if desc is not None and desc.value is None
                    for buffer in [self._buffer(_source(plugin), index, desc, sample)]
                ]
                yield Stopwatch(recording, where is Weights.MEMORY, gradual=True, near=near)
            finally:
                recording.synchronize()
        finally:
            plugin.terminate()

    def worth_timing(self, layer: Layer, found: list[Candidate]) -> list[Candidate]:
        """Compiling takes most of the time. So what needs it is timed in the narrowest type alone,
        and 16-bit types channels last, if the layer has such a way. What has such a way in 16
        bits gains from tensor cores, and is not timed in 32 bits throughout by others either.
        Outputs of the network, in float32 and linear, are as good written so as converted."""
        compiled = {id(c) for c in found if self._compilations(layer, c)}
        if not compiled:
            return found
        is_last = any(tensor.is_output for tensor in layer.outputs)
        ranks = {
            id(c): _storage_rank(_described(c.inputs) if is_last else _activations(c))
            for c in found
        }
        best = min(ranks[key] for key in compiled)
        narrow = any(ranks[id(c)][0] > best[0] for c in found if _is_wide(c))
        return [
            c for c in found
            if (ranks[id(c)] == best if id(c) in compiled else not (narrow and _is_wide(c)))
        ]

    def compile_ahead(self, wanted: Iterable[tuple[Layer, Sequence[Candidate]]]) -> None:
        compile_all(
            (
                needed for layer, candidates in wanted for candidate in candidates
                for needed in self._compilations(layer, candidate)
            ),
            self._target.ordinal,
        )  # fmt: skip

    def _compilations(self, layer: Layer, candidate: Candidate) -> Sequence[object]:
        if candidate.kernel is not None or candidate.on_host:
            return ()
        request = self._target.request(candidate.inputs, candidate.outputs, layer.epilogue)
        with naming_layer(layer.name, layer.plugin, "getCompilations()"):
            return layer.plugin.getCompilations(request, [candidate.tactic])

    def close(self) -> None:
        self._buffers.clear()
        self._constants.clear()
        self._weights = DeviceWeights(self._context, self._target.threads)

    def _recorded(
        self, plugin: LayerPlugin, kernel: KernelPlugin | None, candidate: Candidate,
        sample: Sample,
    ) -> CudaRecording:  # fmt: skip
        if self._weights.nbytes > MOST_WEIGHTS:
            self._constants.clear()
            self._weights = DeviceWeights(self._context, self._target.threads)
        slots = CudaSlots(self._weights)
        views = [
            None if desc is None else self._input(slots, plugin, desc, index, sample)
            for index, desc in enumerate(candidate.inputs)
        ]
        into = candidate.tactic.accumulates_into
        out_views = []
        for index, desc in enumerate(candidate.outputs):
            shared = views[into] if into is not None and index == 0 else None
            if shared is not None:
                out_views.append(TensorView(desc, shared.slot))
            else:
                out_views.append(TensorView(desc, slots.bind(self._buffer("out", index, desc))))
        given: Any = candidate.inputs
        size = (
            plugin.getWorkspaceSize(given, candidate.outputs) if kernel is None
            else kernel.getWorkspaceSize(plugin, given, candidate.outputs)
        )
        workspace = None
        if size:
            scratch = TensorDesc(DataType.UINT8, (size,))
            workspace = TensorView(scratch, slots.bind(self._buffer("scratch", 0, scratch)))

        def record(stream: CudaStream) -> None:
            stream.begin_layer(plugin.type)
            record_layer(stream, plugin, views, out_views, workspace, kernel)

        return CudaRecording(self._context, slots, record)

    def _input(
        self, slots: CudaSlots, plugin: LayerPlugin, desc: TensorDesc, index: int, sample: Sample
    ) -> TensorView:
        if desc.value is None:
            buffer = self._buffer(_source(plugin), index, desc, sample)
            return TensorView(desc, slots.bind(buffer))
        key = (id(desc.value), desc.format)
        if key not in self._constants:
            stored = to_memory(desc.value, desc.format)
            self._constants[key] = (desc.value, stored, digest(desc.value))
        _, stored, identity = self._constants[key]
        return TensorView(desc, slots.bind(stored), digest=identity)

    def _buffer(
        self, role: str, index: int, desc: TensorDesc, sample: Sample | None = None
    ) -> DeviceBuffer:
        """Memory for a tensor; where it is read it holds random numbers, whose order is none. One
        place serves all tensors of a role and type, and grows."""
        key = (role, index, desc.dtype)
        found = self._buffers.get(key)
        if found is None or found.nbytes < desc.nbytes:
            self._buffers.pop(key, None)
            found = DeviceBuffer(self._context, max(desc.nbytes, 1))
            if sample is None:
                found.fill(0)
            else:
                self._scatter(found, desc, sample)
            self._buffers[key] = found  # only where that has not failed
        return found

    def _scatter(self, buffer: DeviceBuffer, desc: TensorDesc, sample: Sample) -> None:
        """Fill it with a short piece of random numbers, doubled until it is full."""
        count = min(desc.nbytes // desc.dtype.itemsize, PIECE)
        buffer.write(sample(TensorDesc(desc.dtype, (count,))))
        stream = DeviceStream.service(self._context)
        done = count * desc.dtype.itemsize
        with self._context.current():
            while 0 < done < buffer.nbytes:
                piece = min(done, buffer.nbytes - done)
                place = buffer.address + done
                call("cuMemcpyDtoDAsync", place, buffer.address, piece, stream.handle)
                done += piece
        stream.synchronize()


def _source(plugin: LayerPlugin) -> str:
    """The role of what a layer reads: layers that want the same numbers share it."""
    return f"in {plugin.typical_floats}"


def _activations(candidate: Candidate) -> list[TensorDesc]:
    return _described((*candidate.inputs, *candidate.outputs))


def _described(descs: Sequence[TensorDesc | None]) -> list[TensorDesc]:
    """Those of activations."""
    return [desc for desc in descs if desc is not None and not desc.is_constant]


def _is_wide(candidate: Candidate) -> bool:
    """Whether all activations are float32."""
    return all(desc.dtype is DataType.FLOAT32 for desc in _activations(candidate))


def _storage_rank(descs: Sequence[TensorDesc]) -> tuple[int, int]:
    """Bytes of elements, and tensors in an order that tensor cores do not read: float32 is computed
    without them, where either order may be the faster one."""
    linear = sum(
        desc.rank >= 3 and desc.format is Format.LINEAR and desc.dtype.itemsize < 4
        for desc in descs
    )
    return sum(desc.dtype.itemsize for desc in descs), linear
