"""From a planned graph to a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...plugins import DataType, Graph, PluginError, Slots, TensorDesc, TensorView
from ...plugins.dims import evaluate_shape, symbols
from ..devices.recorder import BodyRecorder, RecorderStream
from ..graph import Layer, Network, Tensor
from ..graph.concrete_shapes import check_shapes
from ..graph.naming import naming_layer
from ..memory import MemoryPlan, plan_memory
from ..memory.lanes import Lanes
from .planned import PlannedNetwork
from .record_layer import record_layer


@dataclass(frozen=True)
class Buffers:
    """Slots and byte offsets of a recording's memory."""

    arena: tuple[int, int]
    inputs: Sequence[tuple[int, int]]
    outputs: Sequence[tuple[int, int]]


class Views:
    """TensorViews of a network's tensors at concrete sizes."""

    def __init__(
        self, network: Network, plan: MemoryPlan, buffers: Buffers, slots: Slots,
        digests: Mapping[int, str],
    ) -> None:
        self._network = network
        self._plan = plan
        self._buffers = buffers
        self._slots = slots
        self._digests = digests
        self.made: dict[int, Mapping[str, int]] = {}
        """The sizes known when a tensor was written, by identity: they fix its strides."""

    def of(self, tensor: Tensor, sizes: Mapping[str, int]) -> TensorView:
        """The view of a tensor; `sizes` may know data-dependent sizes, else bounds hold."""
        if tensor.is_constant and tensor.value is not None:
            slot = self._slots.bind(tensor.value)
            return TensorView(tensor.desc, slot, digest=self._digests.get(id(tensor)))
        placement = self._plan.of(tensor)
        if placement.where == "arena":
            slot, base = self._buffers.arena
        elif placement.where == "input":
            slot, base = self._buffers.inputs[placement.buffer]
        else:
            slot, base = self._buffers.outputs[placement.buffer]
        desc = placement.desc
        shape = evaluate_shape(tensor.shape, sizes)
        counts: dict[int, TensorView] = {}
        if shape != desc.sizes:  # a size that was only bounded is known by now
            written = evaluate_shape(tensor.shape, self.made.get(id(tensor), sizes))
            desc = replace(desc, shape=shape, strides=desc.format.strides(written))
            if desc.is_dense:
                desc = replace(desc, strides=None)
        for axis, dim in enumerate(tensor.shape):
            for found in symbols(dim).values():
                holder = self._network.size_tensors.get(found.name)
                if found.bound is not None and found.name not in sizes and holder is not None:
                    counts[axis] = self.of(holder, sizes)
        return TensorView(desc, slot, base + placement.offset, sizes=counts)

    def workspace(self, position: int) -> TensorView | None:
        """The scratch memory of the layer at a position, if it wants any."""
        found = self._plan.workspaces.get(position)
        if found is None:
            return None
        slot, base = self._buffers.arena
        desc = TensorDesc(DataType.UINT8, (found[1],))
        return TensorView(desc, slot, base + found[0])


def record_layers(
    stream: RecorderStream, planned: PlannedNetwork, views: Views, sizes: Mapping[str, int],
    first: int, last: int, lanes: Lanes | None = None,
) -> None:  # fmt: skip
    """Record the layers at positions [first, last), whose memory is planned for `lanes`."""
    network = planned.network
    for position in range(first, last):
        layer = network.layers[position]
        after = None
        if lanes is not None:
            after = [k - first for k in lanes.after[position] if k >= first]
        stream.begin_layer(layer.name, after)
        views.made.update({id(t): sizes for t in layer.outputs})
        inputs = [None if t is None else views.of(t, sizes) for t in layer.inputs]
        outputs = [views.of(t, sizes) for t in layer.outputs]
        kernel = None
        if layer.kernel is not None:
            kernel = network.registry.get("kernels", layer.kernel)()
        if all(view.desc.nbytes == 0 for view in outputs):
            continue  # of an empty batch, or no detections: nothing to compute
        into = layer.plugin.tactic.accumulates_into
        if into is not None and (source := inputs[into]) is not None and (
            source.ref != outputs[0].ref
        ):
            raise PluginError(
                f"layer {layer.name!r}: tactic {layer.plugin.tactic.name!r} adds into input "
                f"{into}, which lies elsewhere at these sizes; build the engine with a profile "
                "that has them"
            )
        with naming_layer(layer.name, layer.plugin, "enqueue()"):
            record_layer(
                stream, layer.plugin, inputs, outputs, views.workspace(position), kernel,
                layer.on_host,
            )  # fmt: skip


def body_recorder(planned_body: Callable[[Graph], PlannedNetwork]) -> BodyRecorder:
    """How a stream records the bodies of control-flow layers."""

    def record(
        stream: RecorderStream, body: Graph, inputs: Sequence[TensorView],
        outputs: Sequence[TensorView], workspace: TensorView,
    ) -> None:  # fmt: skip
        planned = planned_body(body)
        sizes = planned.sizes_of([view.shape for view in inputs])
        check_shapes(planned.network, sizes)
        plan = plan_memory(planned.network, sizes, planned.aliasing)
        if workspace.desc.nbytes < plan.arena_size:
            raise PluginError(
                f"the body {planned.network.name!r} needs {plan.arena_size} bytes of workspace "
                f"and got {workspace.desc.nbytes}; reserve body.workspace_size(inputs)"
            )
        buffers = Buffers(
            workspace.ref, [view.ref for view in inputs], [view.ref for view in outputs]
        )
        views = Views(planned.network, plan, buffers, stream.slots, planned.digests)
        record_layers(stream, planned, views, sizes, 0, len(planned.network.layers))

    return record


def is_barrier(layer: Layer, known: Mapping[str, int]) -> bool:
    """Whether a data-dependent size must be read before this layer can be recorded."""
    if layer.plugin.acceptsPadded:
        return False
    return any(
        found.bound is not None and found.name not in known
        for tensor in layer.present_inputs
        for found in symbols(tensor.shape).values()
    )
