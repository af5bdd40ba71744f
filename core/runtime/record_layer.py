"""Putting one layer on a stream, whether it records itself or runs in Python."""

from __future__ import annotations

from collections.abc import Sequence

from ...plugins import (
    Array,
    CommandList,
    KernelPlugin,
    LayerPlugin,
    PluginError,
    Stream,
    TensorView,
)
from ..devices.recorder import RecorderStream


def record_layer(
    stream: Stream,
    plugin: LayerPlugin,
    inputs: Sequence[TensorView | None],
    outputs: Sequence[TensorView],
    workspace: TensorView | None,
    kernel: KernelPlugin | None = None,
    on_host: bool = False,
) -> None:
    """Record `plugin` (or a further kernel for it); a layer that cannot be recorded becomes a
    host callback that runs its `enqueue` at every replay.

    `on_host`: its tactic is one for the CPU, whatever device the stream is of. A layer that has
    no kernels for that device always runs so.
    """
    if kernel is not None:
        kernel.enqueue(plugin, inputs, outputs, workspace, stream)
    elif plugin.recordable and stream.device in plugin.devices and not on_host:
        plugin.enqueue(inputs, outputs, workspace, stream)
    elif plugin.recordable and isinstance(stream, RecorderStream):
        stream.record_on_host(plugin, inputs, outputs, workspace)
    else:
        _record_callback(stream, plugin, inputs, outputs, workspace)


def _record_callback(
    stream: Stream,
    plugin: LayerPlugin,
    inputs: Sequence[TensorView | None],
    outputs: Sequence[TensorView],
    workspace: TensorView | None,
) -> None:
    present = [view for view in inputs if view is not None]
    scratch = [] if workspace is None else [workspace]

    def run(arrays: list[Array], results: list[Array]) -> None:
        given = iter(arrays)
        arguments = [None if view is None else next(given) for view in inputs]
        space = results[-1] if scratch else None
        own = results[: len(outputs)]
        plugin.enqueue(arguments, own, space, _Replaying())

    stream.host_callback(run, present, [*outputs, *scratch])


class _Replaying(Stream):
    """What a layer gets as its stream at inference: nothing may be recorded any more."""

    device = "cpu"
    thread_count = 1

    def _refuse(self) -> PluginError:
        return PluginError(
            "enqueue ran at inference, where nothing can be launched; set `recordable = True` "
            "on the layer class to record kernels"
        )

    def launch_raw(self, address: int, arguments: bytes, keep: object = None) -> None:
        raise self._refuse()

    def keep(self, resource: object) -> None:
        raise self._refuse()

    def host_callback(self, function: object, inputs: object, outputs: object) -> None:
        raise self._refuse()

    def record(
        self, body: object, inputs: object, outputs: object, workspace: object
    ) -> CommandList:
        raise self._refuse()

    def branch(self, condition: object, lists: object) -> None:
        raise self._refuse()

    def repeat(self, body: object, **options: object) -> None:
        raise self._refuse()


