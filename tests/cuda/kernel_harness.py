"""Our own CUDA kernels on their own: what is run, on a GPU or as far as compiling goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from plugrt.core.runtime.standalone import output_descs
from plugrt.plugins import (
    Array,
    DataType,
    Epilogue,
    EpilogueStep,
    Format,
    Input,
    KernelPlugin,
    LayerPlugin,
    Stream,
    Tactic,
    TensorDesc,
    TensorView,
    WeightStore,
)
from plugrt.plugins.expression import maximum
from plugrt.plugins.native.cuda import CudaKernel

Record = Callable[[Any, Sequence[Any], Sequence[Any], Any, Stream], None]
"""Puts a layer with these inputs, outputs and workspace on a stream."""

FLOATS = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)

TOLERANCES = {
    DataType.FLOAT32: 2e-6, DataType.FLOAT16: 1.5e-3, DataType.BFLOAT16: 1.2e-2,
    DataType.FLOAT64: 1e-12,
}  # fmt: skip
"""Allowed errors relative to a value and to the typical size of values."""

RESIDUAL = Epilogue((
    EpilogueStep(maximum(Input(0), Input(0) * 0.1), name="leaky"),
    EpilogueStep(Input(0) + Input(1), operands=1, name="sum"),
    EpilogueStep(Input(0) * Input(1, 1), operands=1, name="scale"),
))  # fmt: skip
"""Leaky, then a tensor like the output, then a vector along the channels."""


def values(*shape: int, seed: int = 1) -> Any:
    """Normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@dataclass
class KernelCase:
    """A layer with its inputs, as kernels see them."""

    name: str
    layer: LayerPlugin
    arrays: list[Array]
    record: Record
    inputs: list[TensorDesc]
    outputs: list[TensorDesc]
    constants: tuple[int, ...] = ()
    epilogue: Epilogue = field(default_factory=Epilogue)
    workspace_bytes: int = 0
    tolerance: float | None = None

    def __str__(self) -> str:
        return self.name

    def expected(self) -> list[Array]:
        """The reference in float32 or the type of integers, on inputs rounded as stored."""
        operands = self.epilogue.operands
        own = self.arrays[: len(self.arrays) - operands]
        wide = [a.astype(np.float32) if _is_narrow(a) else a for a in own]
        results = [np.asarray(a) for a in self.layer.reference(wide)]
        if operands or self.epilogue:
            given = [a.astype(np.float32) for a in self.arrays[len(own) :]]
            results[0] = self.epilogue.apply(results[0].astype(np.float32), given)
        return results

    def check(self, results: Sequence[Array]) -> None:
        """Assert that every element was written and is near the reference."""
        for result, wanted in zip(results, self.expected(), strict=True):
            assert result.shape == wanted.shape, self.name
            dtype = DataType.of(result.dtype)
            if not dtype.is_float:
                np.testing.assert_array_equal(result, wanted, err_msg=self.name)
                continue
            tolerance = self.tolerance or TOLERANCES[dtype]
            typical = float(np.sqrt(np.mean(np.square(wanted.astype(np.float64))))) or 1.0
            np.testing.assert_allclose(
                result.astype(np.float64), wanted.astype(np.float64), rtol=tolerance,
                atol=tolerance * typical, err_msg=self.name,
            )  # fmt: skip


def case(
    name: str, layer: LayerPlugin, arrays: Sequence[Array], record: Record, *,
    dtype: DataType | None = None, output_dtype: DataType | None = None,
    form: Format = Format.LINEAR, input_form: Format | None = None,
    constants: Sequence[int] = (), epilogue: Epilogue | None = None, gap: int = 0,
    workspace: Callable[[Sequence[TensorDesc]], int] | None = None,
    tolerance: float | None = None, keep: Sequence[int] = (),
) -> KernelCase:  # fmt: skip
    """A case; floating-point inputs but those in `keep` get `dtype`, tensors that have a format
    `form`, and `gap` more channels lie between points (or images) of inputs and outputs."""
    epilogue = epilogue or Epilogue()
    given = [
        a.astype(dtype.numpy) if dtype and a.dtype.kind == "f" and k not in keep else a
        for k, a in enumerate(arrays)
    ]
    inferred = output_descs(layer, [TensorDesc(DataType.of(a.dtype), a.shape) for a in given])
    outputs = [replace(d, value=None, shape=_sizes(d)) for d in inferred]
    shape = outputs[0].sizes
    rng = np.random.default_rng(5)
    operand_dtype = output_dtype or outputs[0].dtype
    if epilogue.operands:
        given.append(rng.standard_normal(shape).astype(operand_dtype.numpy))
        given.append(rng.standard_normal(shape[1]).astype(np.float32))
    inputs = []
    for k, array in enumerate(given):
        own = input_form if k == 0 and input_form else form
        chosen = own if own.accepts(array.shape) and k not in constants else Format.LINEAR
        desc = TensorDesc(DataType.of(array.dtype), array.shape, chosen)
        spread = k == 0 or array.shape == shape
        inputs.append(_with_gap(desc, gap if spread and k not in constants else 0))
    outputs = [
        replace(d, format=form if form.accepts(d.shape) else Format.LINEAR) for d in outputs
    ]
    if output_dtype:
        outputs[0] = replace(outputs[0], dtype=output_dtype)
    outputs[0] = _with_gap(outputs[0], gap)
    return KernelCase(
        name, layer, given, record, inputs, outputs, tuple(constants), epilogue,
        workspace(inputs) if workspace else 0, tolerance,
    )  # fmt: skip


def run_on_gpu(one: KernelCase) -> list[Array]:
    """The outputs, from poisoned memory."""
    from plugrt.core.devices.cuda.standalone import prepare_on_gpu

    with prepare_on_gpu(
        one.layer, one.arrays, inputs=one.inputs, outputs=one.outputs, constants=one.constants,
        epilogue=one.epilogue, kernel=Recorded(one.record, one.workspace_bytes),
    ) as prepared:  # fmt: skip
        prepared.replay()
        return [np.ascontiguousarray(a).reshape(a.shape) for a in prepared.results()]


def kernels_of(one: KernelCase) -> list[CudaKernel]:
    """The kernels that the case launches."""
    stream = CollectingStream()
    descs = [
        replace(desc, value=array if k in one.constants else None)
        for k, (desc, array) in enumerate(zip(one.inputs, one.arrays, strict=True))
    ]
    views = [TensorView(desc, slot, digest=str(slot)) for slot, desc in enumerate(descs)]
    outputs = [TensorView(desc, 100 + slot) for slot, desc in enumerate(one.outputs)]
    space = TensorView(TensorDesc(DataType.UINT8, (one.workspace_bytes,)), 200)
    one.layer.setEpilogue(one.epilogue)
    one.record(one.layer, views, outputs, space if one.workspace_bytes else None, stream)
    return stream.kernels


class Recorded(KernelPlugin):
    """A recording function in the place of a layer's own."""

    name = "test"
    layer = "any"

    def __init__(self, record: Record, workspace_bytes: int) -> None:
        self._record = record
        self._workspace_bytes = workspace_bytes

    def getTactics(self, layer: LayerPlugin, request: Any) -> Sequence[Any]:
        return (Tactic("test"),)

    def getWorkspaceSize(
        self, layer: LayerPlugin, inputs: Sequence[Any], outputs: Sequence[Any]
    ) -> int:
        return self._workspace_bytes

    def enqueue(
        self, layer: LayerPlugin, inputs: Sequence[Any], outputs: Sequence[Any],
        workspace: Any, stream: Stream,
    ) -> None:
        self._record(layer, inputs, outputs, workspace, stream)


class CollectingStream(Stream):
    """Keeps the kernels instead of launching them, after packing their arguments."""

    device = "cuda"
    thread_count = 1

    def __init__(self) -> None:
        self.store = _MakingStore()
        self.kernels: list[CudaKernel] = []

    def launch_grid(self, kernel: CudaKernel, grid: Any, block: Any, *arguments: Any,
                    shared_bytes: int = 0) -> None:  # fmt: skip
        kernel.parameters(arguments, lambda view: 4096 * view.slot + view.offset)
        assert all(size > 0 for size in (*grid, *block))
        self.kernels.append(kernel)

    def _refuse(self, *arguments: Any, **options: Any) -> Any:
        raise AssertionError("a CUDA layer launches grids only")

    launch_raw = keep = host_callback = record = branch = repeat = _refuse


class _MakingStore(WeightStore):
    def pack(self, key: Sequence[object], make: Callable[[], Array]) -> TensorView:
        array = make()
        assert array.flags.c_contiguous
        return TensorView(TensorDesc(DataType.of(array.dtype), array.shape, value=array), 300)


def _with_gap(desc: TensorDesc, gap: int) -> TensorDesc:
    """The tensor as a slice of one with more channels."""
    if not gap or desc.rank < 3:
        return desc
    shape = list(desc.sizes)
    shape[1] += gap
    return replace(desc, strides=desc.format.strides(shape))


def _sizes(desc: TensorDesc) -> tuple[int, ...]:
    from plugrt.plugins.dims import evaluate_shape

    return evaluate_shape(desc.shape, {})


def _is_narrow(array: Array) -> bool:
    return DataType.of(array.dtype) in (DataType.FLOAT16, DataType.BFLOAT16)
