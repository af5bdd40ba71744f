"""Arrays on a GPU: given to other libraries, and taken from them, without a copy."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ....plugins import Array, DataType, DeviceError, ShapeError
from ....plugins.native.cuda import Context
from ....plugins.native.cuda.driver_calls import call
from ....plugins.native.cuda.packages import driver
from . import dlpack
from .dlpack_exchange import Exchange, exchange_of
from .events import DeviceStream, Event

LEGACY_STREAM = 1
"""What the protocols call the default stream; the driver's number is the same."""


class DeviceArray:
    """C-contiguous memory on a GPU, for torch, CuPy and whoever speaks DLPack or
    `__cuda_array_interface__`.

    `owner` is kept alive by whoever uses the memory; `ready` marks when it is written, and
    consumers' streams wait for it.
    """

    def __init__(
        self, address: int, shape: Sequence[int], dtype: npt.DTypeLike, ordinal: int,
        owner: object = None, ready: Event | None = None,
    ) -> None:  # fmt: skip
        self.address = address
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.ordinal = ordinal
        self._owner = owner
        self._ready = ready
        self.consumers: set[int] = set()
        """Streams that were given the memory, as numbers."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return prod(self.shape) * self.dtype.itemsize

    @cached_property
    def data_type(self) -> DataType:
        """The type of the elements, as plugrt calls it."""
        return DataType.of(self.dtype)

    def synchronize(self) -> None:
        """Wait until it is written. Raises DeviceError when a kernel failed."""
        if self._ready is not None:
            self._ready.synchronize()

    def wait_on(self, stream: DeviceStream) -> None:
        """Let later work on a stream wait until it is written, without the host. Whoever asks keeps
        the array until that work is done."""
        if self._ready is not None:
            stream.wait_for(self._ready)

    def numpy(self) -> Array:
        """A copy on the host."""
        self.synchronize()
        result = np.empty(self.shape, self.dtype)
        if result.nbytes:
            context = Context.of(self.ordinal)
            stream = DeviceStream.service(context)
            with context.current():
                call("cuMemcpyDtoHAsync", result.ctypes.data, self.address, result.nbytes,
                     stream.handle)  # fmt: skip
            stream.synchronize()
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("an array on a GPU cannot become a NumPy array without a copy")
        found = self.numpy()
        return found if dtype is None else found.astype(dtype)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        self.consumers.add(LEGACY_STREAM)
        self.synchronize()  # the protocol's stream would have to outlive the consumer
        return {
            "shape": self.shape, "typestr": self.dtype.str, "data": (self.address, False),
            "version": 3, "strides": None, "stream": None,
        }  # fmt: skip

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CUDA, self.ordinal

    def __dlpack__(self, *, stream: int | None = None, **options: Any) -> Any:
        """A capsule; the consumer's stream waits for the contents, the host does not."""
        used_on = LEGACY_STREAM if stream in (None, 0, -1) else int(stream)
        self.consumers.add(used_on)
        if self._ready is not None and stream != -1:
            waiting = driver().CUstream(used_on)
            with Context.of(self.ordinal).current():
                call("cuStreamWaitEvent", waiting, self._ready.cuda, 0)
        return dlpack.exported(self.address, self.shape, self.data_type, self.ordinal, self)


class ForeignArray:
    """Another library's memory on a GPU, held as long as this object lives."""

    def __init__(
        self, address: int, shape: Sequence[int], strides: Sequence[int] | None, dtype: DataType,
        ordinal: int, owner: object,
    ) -> None:  # fmt: skip
        self.address = address
        self.shape = tuple(shape)
        self.strides = None if strides is None else tuple(strides)
        self.dtype = dtype
        self.ordinal = ordinal
        self._owner = owner

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements are gapless, the last axis fastest."""
        if self.strides is None or 0 in self.shape:
            return True
        wanted = 1
        for size, step in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size > 1 and step != wanted:
                return False
            wanted *= size
        return True

    @classmethod
    def of(cls, value: Any, stream: DeviceStream) -> ForeignArray | None:
        """The memory of `value` when it lies on a GPU, usable on `stream`; None when it does
        not. Raises ShapeError for element types that plugrt does not know."""
        if isinstance(value, DeviceArray):
            value.wait_on(stream)
            return cls(value.address, value.shape, None, value.data_type, value.ordinal, value)
        its_type: type = type(value)
        exchange = exchange_of(its_type)
        if exchange is not None and not getattr(value, "requires_grad", False):
            return cls._by_exchange(exchange, value, stream)
        if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
            kind, _ = value.__dlpack_device__()
            if int(kind) not in (dlpack.CUDA, dlpack.CUDA_MANAGED):
                return None
            return cls._from_dlpack(value, stream)
        if hasattr(value, "__cuda_array_interface__"):
            return cls._from_interface(value, stream)
        return None

    @classmethod
    def _by_exchange(
        cls, exchange: Exchange, value: Any, stream: DeviceStream
    ) -> ForeignArray | None:
        tensor = exchange.tensor_of(value)
        ordinal = tensor.device.ordinal
        if tensor.device.kind != dlpack.CUDA:
            return None
        if ordinal == stream.ordinal:
            stream.follow(exchange.stream_of(ordinal))
        address, shape, strides, dtype = dlpack.read(tensor)
        return cls(address, shape, strides, dtype, ordinal, value)

    @classmethod
    def _from_dlpack(cls, value: Any, stream: DeviceStream) -> ForeignArray:
        try:
            capsule = value.__dlpack__(stream=stream.handle)
        except (BufferError, RuntimeError, TypeError) as error:
            raise DeviceError(
                f"{type(value).__name__} does not give its memory ({error}); detach it from "
                "gradients, or copy it"
            ) from None
        found = dlpack.imported(capsule)
        array = cls(
            found.address, found.shape, found.strides, found.dtype, found.ordinal, value
        )
        weakref.finalize(array, found.release)
        return array

    @classmethod
    def _from_interface(cls, value: Any, stream: DeviceStream) -> ForeignArray:
        given = value.__cuda_array_interface__
        if given.get("mask") is not None:
            raise ShapeError("a masked array on the GPU cannot be an input; fill it first")
        dtype = np.dtype(given["typestr"])
        strides = given.get("strides")
        if strides is not None:
            strides = [step // dtype.itemsize for step in strides]
        producer = given.get("stream")
        address = int(given["data"][0])
        ordinal = _ordinal_of(address) if address else 0
        if producer is not None and address:
            context = Context.of(ordinal)
            with context.current():
                event = Event(context)
                call("cuEventRecord", event.cuda, driver().CUstream(producer))
                stream.wait_for(event)
        return cls(address, given["shape"], strides, DataType.of(dtype), ordinal, value)


def _ordinal_of(address: int) -> int:
    attribute = driver().CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    return int(call("cuPointerGetAttribute", attribute, address))
