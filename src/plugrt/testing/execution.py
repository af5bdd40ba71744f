"""Running one configuration of a layer by recording and replaying it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from plugrt.core.runtime.buffers import allocate, from_memory, to_memory
from plugrt.core.runtime.record_layer import record_layer
from plugrt.core.runtime.standalone import data_dependent_axes, output_descs
from plugrt.core.runtime.weight_store import PackedWeights, digest
from plugrt.plugins import (
    BLOCK,
    Array,
    DataType,
    Epilogue,
    KernelPlugin,
    LayerPlugin,
    Stream,
    Tactic,
    TensorDesc,
    TensorView,
)

from .workbench import Replayable, Workbench, workbench

GUARD = 0xA5
"""Every byte of memory that a layer must not touch."""


@dataclass(frozen=True)
class Configuration:
    """Types, formats and the way to run: what the tuner would choose."""

    inputs: tuple[TensorDesc, ...]
    outputs: tuple[TensorDesc, ...]
    tactic: Tactic
    epilogue: Epilogue = field(default_factory=Epilogue)
    kernel: type[KernelPlugin] | None = None
    strided: bool = False
    """Output 0 and the inputs that the tactic lets lie in a slice along axis 1 of something
    larger."""
    threads: int = 2
    device: str = "cpu"

    def __str__(self) -> str:
        inputs = ", ".join(str(replace(desc, strides=None)) for desc in self.inputs)
        outputs = ", ".join(str(desc) for desc in self.outputs)
        name = self.tactic.name if self.kernel is None else f"{self.kernel.name}:{self.tactic.name}"
        extra = " with epilogue" if self.epilogue else ""
        where = "" if self.device == "cpu" else f" on {self.device}"
        strided = " strided" * self.strided
        return f"{inputs} -> {outputs} by tactic {name!r}{extra}{strided}{where}"


@dataclass
class Placed:
    """A tensor's memory: all of it, or a slice of a larger tensor."""

    memory: Array
    whole: TensorDesc
    view: TensorView
    start: int | None = None

    def logical(self) -> Array:
        """The tensor as an array in logical order (a copy)."""
        found = self._everything()
        if self.start is not None:
            found = found[:, self.start : self.start + self.view.shape[1]]
        return np.array(found)

    def write(self, array: Array) -> None:
        """Put logical contents in place."""
        everything = self._everything().copy()
        if self.start is None:
            everything[...] = array
        else:
            everything[:, self.start : self.start + self.view.shape[1]] = array
        flat = to_memory(everything, self.whole.format).reshape(-1).view(np.uint8)
        self.memory[: flat.size] = flat

    def guards_intact(self) -> bool:
        """Whether what lies around the slice, and behind the tensor, is as it was."""
        end = self.memory[self.whole.nbytes :]
        if self.start is None:
            return bool((end == GUARD).all())
        around = self._everything().copy()
        around[:, self.start : self.start + self.view.shape[1]] = around[:, :1]
        return bool((around.view(np.uint8) == GUARD).all() and (end == GUARD).all())

    def _everything(self) -> Array:
        flat = self.memory[: self.whole.nbytes].view(self.whole.dtype.numpy)
        return from_memory(flat, self.whole.sizes, self.whole.format)


@dataclass
class Recorded:
    """A recorded layer with its tensors."""

    recording: Replayable
    inputs: list[Placed]
    outputs: list[Placed]
    sizes: list[dict[int, int]] = field(default_factory=list)

    def run(self, arrays: Sequence[Array] | None = None) -> list[Array]:
        """Replay, on other inputs when given; logical outputs, cut to data-dependent sizes."""
        if arrays is not None:
            for placed, array in zip(self.inputs, arrays, strict=True):
                if not placed.view.desc.is_constant:
                    placed.write(array)
        self.recording.replay()
        found = [placed.logical() for placed in self.outputs]
        cut = []
        for array, axes in zip(found, self.sizes, strict=True):
            index: list[Any] = [slice(None)] * array.ndim
            for axis, holder in axes.items():
                index[axis] = slice(int(found[holder].reshape(-1)[0]))
            cut.append(array[tuple(index)])
        return cut


def record(
    layer: LayerPlugin,
    arrays: Sequence[Array],
    configuration: Configuration,
    packed: PackedWeights | None = None,
) -> Recorded:
    """Configure and record `layer`, which the caller initialises and terminates. Raises
    DeviceError where the configuration's device is missing."""
    own = configuration.inputs[: len(configuration.inputs) - configuration.epilogue.operands]
    sizes = [data_dependent_axes(desc) for desc in output_descs(layer, own)]
    layer.setTactic(configuration.tactic)
    layer.setEpilogue(configuration.epilogue)
    layer.configure(configuration.inputs, configuration.outputs)
    bench = workbench(configuration.device, configuration.threads, packed)
    tactic = configuration.tactic
    inputs = []
    for index, (array, desc) in enumerate(zip(arrays, configuration.inputs, strict=True)):
        sliced = configuration.strided and index in tactic.strided_inputs
        placed = _place(bench, desc, sliced and not desc.is_constant)
        placed.write(array)
        if desc.is_constant:
            placed.view = replace(placed.view, digest=digest(array))
        inputs.append(placed)
    outputs = []
    for index, desc in enumerate(configuration.outputs):
        if index == 0 and tactic.accumulates_into is not None:
            outputs.append(inputs[tactic.accumulates_into])
        else:
            sliced = configuration.strided and index in tactic.strided_outputs
            outputs.append(_place(bench, desc, sliced))
    in_views = [placed.view for placed in inputs]
    out_views = [placed.view for placed in outputs]
    kernel = configuration.kernel() if configuration.kernel is not None else None
    given = ([v.desc for v in in_views], [v.desc for v in out_views])
    size = (
        layer.getWorkspaceSize(*given)
        if kernel is None
        else kernel.getWorkspaceSize(layer, *given)
    )
    workspace = None
    if size:
        desc = TensorDesc(DataType.UINT8, (size,))
        workspace = _place(bench, desc, False).view

    def put(stream: Stream) -> None:
        record_layer(stream, layer, in_views, out_views, workspace, kernel)

    return Recorded(bench.record(layer.type, put), inputs, outputs, sizes)


def _place(bench: Workbench, desc: TensorDesc, sliced: bool) -> Placed:
    """Memory for a tensor, with a guard behind it, and around it where it is a slice."""
    whole = replace(desc, value=None)
    start = None
    if sliced and desc.rank > 1:
        channels = desc.sizes[1]
        shape = (desc.sizes[0], channels + 2 * BLOCK, *desc.sizes[2:])
        whole, start = replace(whole, shape=shape), BLOCK
    memory = allocate(whole.nbytes + 64)
    memory[...] = GUARD
    view = TensorView(whole, bench.bind(memory))
    if start is not None:
        view = view.slice(1, start, desc.sizes[1])
    return Placed(memory, whole, replace(view, desc=replace(view.desc, value=desc.value)), start)


def execute(
    layer: LayerPlugin, arrays: Sequence[Array], configuration: Configuration
) -> list[Array]:
    """Initialise, record, replay once, terminate; logical outputs."""
    layer.initialize()
    try:
        return record(layer, arrays, configuration).run()
    finally:
        layer.terminate()
