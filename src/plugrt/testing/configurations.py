"""Every configuration that the tuner could choose for a case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from plugrt.core.runtime.standalone import output_descs
from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    Array,
    Combination,
    DataType,
    Epilogue,
    Format,
    Graph,
    KernelPlugin,
    LayerPlugin,
    Tactic,
    TacticRequest,
    TensorDesc,
)
from plugrt.plugins.dims import evaluate_shape

from .cases import Case
from .execution import Configuration

NARROW_FLOATS = (DataType.FLOAT16, DataType.BFLOAT16)
THREADS = 2


def in_type(case: Case, dtype: DataType) -> Case:
    """The case with its float32 inputs in another float type."""
    return case.with_inputs(
        array.astype(dtype.numpy) if DataType.of(array.dtype) is DataType.FLOAT32 else array
        for array in case.inputs
    )


def concrete_outputs(layer: LayerPlugin, case: Case) -> tuple[TensorDesc, ...]:
    """Descriptions of the outputs, data-dependent sizes at their bounds."""
    return tuple(
        replace(desc, shape=evaluate_shape(desc.shape, {}), value=None)
        for desc in output_descs(layer, case.descs())
    )


def configurations(
    case: Case,
    registry: Registry,
    *,
    epilogue: Epilogue = Epilogue(),  # noqa: B008 - immutable
    operands: tuple[Array, ...] = (),
    strided: bool = False,
) -> Iterator[Configuration]:
    """All accepted formats with each of their tactics and further kernels.

    As the core does it: one format for all activations, one for all outputs, constants
    LINEAR; epilogue operands of the output's shape share its format. None on a device that the
    layer has no kernels for.
    """
    layer = case.layer()
    if has_bodies(layer):
        return  # only an engine records bodies
    if case.device not in layer.devices and case.device != "cpu":
        return  # an engine runs it on the host
    outputs = concrete_outputs(layer, case)
    kernels = [k for k in registry.kernels_for(layer.type) if case.device in k.devices]
    seen: set[tuple[Format, ...]] = set()
    for before in Format:
        for after in Format:
            given = tuple(_formatted(desc, before) for desc in case.descs())
            results = tuple(_formatted(desc, after) for desc in outputs)
            layouts = tuple(desc.format for desc in (*given, *results))
            if layouts in seen or not layer.supportsFormat(
                Combination(given, results, case.device)
            ):
                continue
            seen.add(layouts)
            extra = tuple(_operand(array, results[0]) for array in operands)
            request = TacticRequest(
                (*given, *extra), results, epilogue, case.device, thread_count=THREADS
            )
            for kernel, tactic in _offers(layer, request, kernels):
                if usable(tactic, request):
                    yield Configuration(
                        request.inputs, results, tactic, epilogue, kernel, strided, THREADS,
                        case.device,
                    )  # fmt: skip


def first_configuration(case: Case, registry: Registry) -> Configuration | None:
    """The simplest configuration: LINEAR where that is accepted."""
    return next(
        (c for c in configurations(case, registry) if c.tactic.accumulates_into is None), None
    )


def has_bodies(layer: LayerPlugin) -> bool:
    """Whether an attribute is a Graph."""
    return any(isinstance(value, Graph) for value in layer.attribute_values.values())


def usable(tactic: Tactic, request: TacticRequest) -> bool:
    """Whether the core would offer a tactic here: accumulation needs equal tensors."""
    if tactic.accumulates_into is None:
        return True
    target, output = request.inputs[tactic.accumulates_into], request.outputs[0]
    return not target.is_constant and (target.shape, target.dtype, target.format) == (
        output.shape, output.dtype, output.format
    )  # fmt: skip


def _offers(
    layer: LayerPlugin, request: TacticRequest, kernels: list[type[KernelPlugin]]
) -> Iterator[tuple[type[KernelPlugin] | None, Tactic]]:
    for tactic in layer.getTactics(request):
        yield None, tactic
    for kernel in kernels:
        for tactic in kernel().getTactics(layer, request):
            yield kernel, tactic


def _formatted(desc: TensorDesc, layout: Format) -> TensorDesc:
    fits = layout.accepts(desc.shape) and not desc.is_constant
    return replace(desc, format=layout) if fits else desc


def _operand(array: Array, output: TensorDesc) -> TensorDesc:
    desc = TensorDesc(DataType.of(array.dtype), array.shape)
    return replace(desc, format=output.format) if array.shape == output.shape else desc
