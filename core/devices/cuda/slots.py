"""Where the tensors of a recording lie on the GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ....plugins import Array, DataType, Slots, TensorDesc, TensorView, WeightStore
from .memory import DeviceBuffer
from .weights import DeviceWeights


class CudaSlots(Slots):
    """Device addresses by slot number, of one recording.

    A slot is reserved for a buffer of the context, whose address the recording is told at
    each replay, or bound to what outlives it: a buffer on the GPU, or a constant of the host,
    which is uploaded when a layer first asks for its address.
    """

    def __init__(self, weights: DeviceWeights) -> None:
        self.weights = weights
        self.addresses: list[int] = []
        self.reserved: list[int] = []
        """The slots whose addresses may change."""
        self._kept: list[object] = []
        self._known: dict[int, int] = {}
        self._unloaded: dict[int, Array] = {}

    def reserve(self, address: int = 0) -> int:
        """A new slot; its address may be set later."""
        self.addresses.append(address)
        self.reserved.append(len(self.addresses) - 1)
        return self.reserved[-1]

    def bind(self, memory: Array | DeviceBuffer) -> int:
        """The slot of something that outlives the recording's calls."""
        known = self._known.get(id(memory))
        if known is not None:
            return known
        slot = len(self.addresses)
        if isinstance(memory, DeviceBuffer):
            self.addresses.append(memory.address)
        else:
            self.addresses.append(0)
            self._unloaded[slot] = memory
        self._kept.append(memory)
        self._known[id(memory)] = slot
        return slot

    def address(self, slot: int) -> int:
        """The slot's address; uploads a constant at the first request."""
        array = self._unloaded.pop(slot, None)
        if array is not None:
            buffer = self.weights.constant(array)
            self._kept.append(buffer)
            self.addresses[slot] = buffer.address
        return self.addresses[slot]


class CudaStore(WeightStore):
    """Packed weights on the GPU, seen through the slots of one recording."""

    def __init__(self, slots: CudaSlots) -> None:
        self._slots = slots

    def pack(self, key: Sequence[object], make: Callable[[], Array]) -> TensorView:
        packed = self._slots.weights.packed(key, make)
        desc = TensorDesc(DataType.of(packed.dtype), packed.shape)
        return TensorView(desc, self._slots.bind(packed.buffer))
