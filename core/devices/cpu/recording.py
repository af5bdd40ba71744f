"""A filled command list and the buffers it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....plugins import Array, CommandList, DeviceError, Recording, Slots
from .cache_state import CacheState
from .extension import ffi, lib, require_runtime, thread_services
from .scheduling import Affinity, Runner

MESSAGE_CAPACITY = 512
PATIENCE = 6e-3
"""Seconds of waiting for a run that no other process disturbs."""


class SlotTable(Slots):
    """Buffers of one recording, numbered. Input and output slots are rebound at each call."""

    def __init__(self) -> None:
        self.addresses: list[int] = []
        self._kept: dict[int, Array] = {}
        self._known: dict[int, int] = {}

    def reserve(self, address: int = 0) -> int:
        """A new slot; its address may be set later."""
        self.addresses.append(address)
        return len(self.addresses) - 1

    def bind(self, array: Array) -> int:
        """The slot of an array that outlives the recording's calls (a constant, packed weights)."""
        known = self._known.get(id(array))
        if known is not None:
            return known
        slot = self.reserve(array.ctypes.data)
        self._kept[slot] = array
        self._known[id(array)] = slot
        return slot


class CpuCommandList(CommandList):
    """A sequence of native kernels with their arguments."""

    def __init__(self) -> None:
        require_runtime()
        self.handle = ffi.gc(lib.plugrt_list_create(), lib.plugrt_list_destroy)
        if not self.handle:
            raise DeviceError("no memory for a command list; free some and try again")
        self.kept: list[object] = []

    def append(self, address: int, arguments: bytes, layer: int) -> None:
        """Add one kernel; the argument block is copied."""
        if lib.plugrt_list_append(self.handle, address, arguments, len(arguments), layer):
            raise DeviceError("no memory for a further command; free some and try again")

    def __len__(self) -> int:
        return int(lib.plugrt_list_length(self.handle))

    @property
    def layers(self) -> list[int]:
        """The layer number of every command."""
        return [int(lib.plugrt_list_layer(self.handle, i)) for i in range(len(self))]


class CpuRecording(Recording):
    """A command list with its slots, ready to be replayed; one call at a time."""

    def __init__(
        self, commands: CpuCommandList, slots: SlotTable, layer_names: Sequence[str],
        owners: Sequence[int], threads: int,
    ) -> None:
        self.commands = commands
        self._slots = slots
        self.layer_names = layer_names
        self._owners = owners
        self.addresses = ffi.new("void *[]", max(len(slots.addresses), 1))
        for index, address in enumerate(slots.addresses):
            self.addresses[index] = ffi.cast("void *", address)
        self._bound: dict[int, int] = {}
        self._message = ffi.new("char[]", MESSAGE_CAPACITY)
        self._call = ffi.new("plugrt_call *")
        self._call.abi_version = 1
        self._call.slot_count = len(slots.addresses)
        self._call.slots = self.addresses
        self._call.thread_count = threads
        self._call.message = self._message
        self._call.message_capacity = MESSAGE_CAPACITY
        self._services = thread_services()
        self.affinity: Affinity | None = None
        self.runner: Runner | None = None
        """Whose thread replays; None for the caller's own."""
        self.callback_errors: list[BaseException] = []

    def bind(self, slot: int, address: int) -> None:
        """Point a slot at another buffer."""
        if self._bound.get(slot) != address:
            self.addresses[slot] = ffi.cast("void *", address)
            self._bound[slot] = address

    def replay(self, slots: Sequence[int] = ()) -> None:
        """Run all commands; `slots`, when given, are the addresses of every slot."""
        for index, address in enumerate(slots):
            self.bind(index, address)
        if self._replay(ffi.NULL):
            self._fail()

    def replay_timed(self) -> list[tuple[int, float]]:
        """Run all commands; for each the number of its outermost layer, and seconds."""
        seconds = ffi.new("double[]", max(len(self.commands), 1))
        if self._replay(seconds):
            self._fail()
        layers = self.commands.layers
        return [(self._owners[layer], seconds[k]) for k, layer in enumerate(layers)]

    @property
    def command_count(self) -> int:
        return len(self.commands)

    def _replay(self, seconds: Any) -> int:
        pinned = ffi.NULL if self.affinity is None else self.affinity.handle
        given = (self.commands.handle, self._call, self._services, pinned, seconds)
        if self.runner is None:
            return int(lib.plugrt_list_replay(*given))
        return int(lib.plugrt_runner_replay(self.runner.handle, *given))

    def time(self, state: CacheState) -> float:
        """Run all commands from this state of the caches; seconds of one run, without the
        interpreter. Runs that lose a processor to other processes are repeated for a while."""
        seconds = lib.plugrt_list_time(
            self.commands.handle, self._call, self._services, state.handle, PATIENCE
        )
        if seconds < 0:
            self._fail()
        return float(seconds)

    def _fail(self) -> None:
        layer = int(lib.plugrt_failed_layer())
        name = self.layer_names[layer] if 0 <= layer < len(self.layer_names) else "?"
        message = ffi.string(self._message).decode(errors="replace")
        self._message[0] = b"\0"
        if self.callback_errors:
            cause: Any = self.callback_errors[-1]
            self.callback_errors.clear()
            if not isinstance(cause, Exception):
                raise cause  # the user's interrupt is no failure of the layer
            raise DeviceError(f"layer {name!r} failed: {type(cause).__name__}: {cause}") from cause
        raise DeviceError(f"layer {name!r} failed: {message or 'its kernel gave no reason'}")
