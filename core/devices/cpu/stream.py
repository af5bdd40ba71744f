"""The recorder of the CPU device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from ....plugins import (
    Array,
    CommandList,
    Graph,
    PluginError,
    ShapeError,
    TensorView,
    WeightStore,
)
from ..recorder import BodyRecorder, RecorderStream
from .extension import ffi, lib
from .host_callback import Function, HostCallback
from .recording import CpuCommandList, CpuRecording, SlotTable


class BoundStore(WeightStore):
    """An engine's packed weights, seen through the slots of one recording."""

    def __init__(self, packed: Callable[[Sequence[object], Callable[[], Array]], TensorView],
                 ) -> None:
        self._packed = packed

    def pack(self, key: Sequence[object], make: Callable[[], Array]) -> TensorView:
        return self._packed(key, make)


class CpuStream(RecorderStream):
    """Collects kernels on command lists; `finish` makes the recording."""

    device = "cpu"

    def __init__(
        self,
        slots: SlotTable,
        store: WeightStore,
        thread_count: int,
        record_body: BodyRecorder | None = None,
    ) -> None:
        self.slots = slots
        self.store = store
        self.thread_count = thread_count
        self.layer_names: list[str] = []
        self.owners: list[int] = []
        """For every entry of `layer_names`, the number of the outermost layer it is part of."""
        self._record_body = record_body
        self._lists = [CpuCommandList()]
        self._kept: list[object] = []
        self._errors: list[BaseException] = []
        self._open = True
        self._outermost = -1

    def begin_layer(self, name: str, after: Sequence[int] | None = None) -> None:
        """Attribute the following commands to a layer."""
        if len(self._lists) == 1:
            self._outermost += 1
        self._enter(name)

    def _enter(self, name: str) -> None:
        self.layer_names.append(name)
        self.owners.append(self._outermost)

    def launch_raw(self, address: int, arguments: bytes, keep: object = None) -> None:
        if not self._open:
            raise PluginError("this stream is recorded already; launch kernels during enqueue only")
        self._lists[-1].append(address, arguments, len(self.layer_names) - 1)
        if keep is not None:
            self._kept.append(keep)

    def keep(self, resource: object) -> None:
        self._kept.append(resource)

    def host_callback(
        self, function: Function, inputs: Sequence[TensorView], outputs: Sequence[TensorView]
    ) -> None:
        callback = HostCallback(function, inputs, outputs)
        callback.errors = self._errors
        handle = ffi.new_handle(callback)
        block = bytes(ffi.buffer(ffi.new("void **", handle)))
        self.launch_raw(int(lib.plugrt_python_address()), block, (callback, handle))

    def record(
        self,
        body: Graph,
        inputs: Sequence[TensorView],
        outputs: Sequence[TensorView],
        workspace: TensorView,
    ) -> CommandList:
        if self._record_body is None:
            raise PluginError("bodies can be recorded in an engine's context only")
        with self._nested() as commands:
            outer = len(self.layer_names)
            name = self.layer_names[-1] if self.layer_names else ""
            self._record_body(self, body, inputs, outputs, workspace)
            for index in range(outer, len(self.layer_names)):
                self.layer_names[index] = f"{name}/{self.layer_names[index]}"
            self._enter(name)  # what follows is the outer layer's again
        return commands

    @contextmanager
    def _nested(self) -> Iterator[CpuCommandList]:
        self._lists.append(CpuCommandList())
        try:
            yield self._lists[-1]
        finally:
            self._kept.append(self._lists.pop())

    def branch(self, condition: TensorView, lists: Sequence[CommandList]) -> None:
        if len(lists) != 2:
            raise PluginError(f"branch takes two command lists, not {len(lists)}")
        args = ffi.new("plugrt_branch_args *")
        _set_ref(args.condition, condition)
        args.yes, args.no = (cast(CpuCommandList, item).handle for item in lists)
        self.launch_raw(int(lib.plugrt_branch_address()), bytes(ffi.buffer(args)))

    def repeat(
        self,
        body: CommandList,
        *,
        maximum: TensorView | int,
        condition: TensorView | None = None,
        iteration: TensorView | None = None,
        carried: Iterable[tuple[TensorView, TensorView]] = (),
        stacked: Iterable[tuple[TensorView, TensorView]] = (),
        count: TensorView | None = None,
    ) -> None:
        args = ffi.new("plugrt_repeat_args *")
        args.body = cast(CpuCommandList, body).handle
        if isinstance(maximum, int):
            args.maximum = maximum
        for name, view in (
            ("maximum", maximum if isinstance(maximum, TensorView) else None),
            ("condition", condition),
            ("iteration", iteration),
            ("count", count),
        ):
            if view is not None:
                _set_ref(getattr(args, "maximum_at" if name == "maximum" else name), view)
                setattr(args, f"has_{name}", 1)
        carried, stacked = list(carried), list(stacked)
        args.carried_count, args.stacked_count = len(carried), len(stacked)
        args.carried, keep_carried = _transfers(carried, same_size=True)
        args.stacked, keep_stacked = _transfers(stacked, same_size=False)
        args.stacked_capacity = min((all_.shape[0] for _, all_ in stacked), default=0)
        self.launch_raw(
            int(lib.plugrt_repeat_address()),
            bytes(ffi.buffer(args)),
            (keep_carried, keep_stacked),
        )

    def finish(self) -> CpuRecording:
        """Close the stream and return what can be replayed."""
        self._open = False
        commands = self._lists[0]
        commands.kept = self._kept
        recording = CpuRecording(
            commands, self.slots, self.layer_names, self.owners, self.thread_count
        )
        recording.callback_errors = self._errors
        return recording


def _set_ref(field: Any, view: TensorView) -> None:
    field.slot, field.offset = view.slot, view.offset


def _transfers(pairs: list[tuple[TensorView, TensorView]], same_size: bool) -> tuple[Any, Any]:
    block = ffi.new("plugrt_transfer[]", max(len(pairs), 1))
    for item, (source, target) in zip(block, pairs, strict=False):
        wanted = source.shape if same_size else target.shape[1:]
        if source.shape != tuple(wanted) or not (source.desc.is_dense and target.desc.is_dense):
            raise ShapeError(
                f"a loop cannot copy {source.desc} to {target.desc}; a carried value keeps its "
                "shape, and a stacked one adds a first axis"
            )
        _set_ref(getattr(item, "from"), source)
        _set_ref(item.to, target)
        item.bytes = source.desc.nbytes
    return block, block
