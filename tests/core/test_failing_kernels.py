"""Kernels that fail, and layers that fail while they record theirs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import DeviceError, Engine, LayerPlugin, Network, PluginError
from plugrt.plugins import Shape, Stream, Tactic, TacticRequest, TensorDesc

Build = Callable[..., Engine]

X = np.arange(4, dtype=np.float32)


def build_chain(build: Build, network: Network, *layers: LayerPlugin) -> Engine:
    """Layers named a, b, c... behind each other."""
    y = network.add_input("x", "float32", X.shape)
    for name, layer in zip("abcdef", layers, strict=False):
        y = network.add_layer(layer, [y], name=name).output
    network.mark_output(y, "y")
    return build(network)


class Shown(LayerPlugin):
    """x in Python."""

    type = "Test.Shown"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0]


KERNEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


class Call(ctypes.Structure):
    """plugrt_call."""

    _fields_ = (
        ("abi_version", ctypes.c_uint32), ("slot_count", ctypes.c_uint32),
        ("slots", ctypes.c_void_p), ("thread_count", ctypes.c_int32),
        ("reserved", ctypes.c_int32), ("message", ctypes.c_void_p),
        ("message_capacity", ctypes.c_size_t),
    )  # fmt: skip


class Native(Shown):
    """A kernel that reports what `replies` says: a status, and a text or None."""

    type = "Test.Native"
    recordable = True

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return () if request.epilogue else (Tactic("native"),)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        def kernel(arguments: int, address: int) -> int:
            call = Call.from_address(address)
            assert call.abi_version == 1
            assert call.thread_count == 2
            status, text = replies.pop(0)
            if text is not None:
                ctypes.memmove(call.message, text + b"\0", len(text) + 1)
            return status

        function = KERNEL(kernel)
        address = ctypes.cast(function, ctypes.c_void_p).value
        assert address is not None
        stream.launch_raw(address, b"", keep=function)


replies: list[tuple[int, bytes | None]] = []


def test_messages_of_kernels(network: Network, quick_build: Build) -> None:
    engine = build_chain(quick_build, network, Native(), Native(), Shown())
    with engine.create_context() as context:
        for status, text, message in (
            (7, b"too hot", "too hot"),
            (-1, None, "its kernel gave no reason"),  # not the message of the call before
        ):
            replies[:] = [(0, None), (status, text)]
            with pytest.raises(DeviceError, match=f"^layer 'b' failed: {message}$"):
                context.execute({"x": X})
        replies[:] = [(0, None), (0, b"only a remark")]
        context.execute({"x": X})


# ---- recording ------------------------------------------------------------------------------


class Unrecorded(Native):
    """Raises in `enqueue`."""

    type = "Test.Unrecorded"

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        raise replies_of_enqueue[0]


replies_of_enqueue: list[Exception] = []


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (IndexError("of one's own"), PluginError, r"enqueue\(\) failed: IndexError: of one's own"),
        (DeviceError("no such unit"), DeviceError, "no such unit"),
        (PluginError("not for me"), PluginError, "not for me"),
    ],
)
def test_errors_while_recording_name_the_layer(
    network: Network, quick_build: Build, error: Exception, kind: type[Exception], message: str
) -> None:
    engine = build_chain(quick_build, network, Shown(), Unrecorded())
    replies_of_enqueue[:] = [error]
    with engine.create_context() as context:
        for _ in range(2):  # nothing half-recorded is kept
            with pytest.raises(kind, match=rf"layer 'b' \(Test.Unrecorded\): {message}"):
                context.execute({"x": X})


def test_a_stream_is_closed_after_recording(network: Network, quick_build: Build) -> None:
    streams: list[Stream] = []

    class Keeping(Native):
        type = "Test.Keeping"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            streams.append(stream)
            super().enqueue(inputs, outputs, workspace, stream)

    with build_chain(quick_build, network, Keeping()).create_context() as context:
        replies[:] = [(0, None)]
        context.execute({"x": X})
        with pytest.raises(PluginError, match="recorded already; launch kernels during enqueue"):
            streams[0].launch_raw(1, b"")
