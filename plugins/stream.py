"""Streams: where layers put their kernels. A recordable layer fills one once and is replayed."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .errors import PluginError
from .graph import Graph
from .tensor import Array, TensorView

if TYPE_CHECKING:
    from .native.cuda import CudaKernel

Argument = int | float | TensorView | Sequence[int] | Sequence[float]


class Kernel:
    """A native function of the ABI in plugrt_kernel.h, and the layout of its arguments.

    `layout` spells the argument struct field by field: `T` a plugrt_ref, `i`/`I` 32-bit,
    `q`/`Q` 64-bit, `B` 8-bit integers, `f`/`d` floats, `P` an address; a number repeats
    (`4q` is an array of four). Fields have C's natural alignment.

        leaky = Kernel(lib.address, "TTqf", "my_leaky", keep=lib)
        stream.launch(leaky, inputs[0], outputs[0], count, slope)
    """

    def __init__(self, address: int, layout: str, name: str, keep: object = None) -> None:
        if not address:
            raise PluginError(f"kernel {name!r} has no address; was its library loaded?")
        self.address = address
        self.name = name
        self.keep = keep
        self._codes = parse_layout(layout)
        text = "".join("0QIIQ" if code == "T" else f"{count}{code}" for count, code in self._codes)
        self._struct = struct.Struct("@" + text + "0Q")

    def pack(self, arguments: Sequence[Argument]) -> bytes:
        """The argument block. Raises PluginError when the values do not fit the layout."""
        flat: list[Any] = []
        try:
            for (count, code), value in zip(self._codes, arguments, strict=True):
                if code == "T":
                    if not isinstance(value, TensorView):
                        raise TypeError(f"{value!r} is not a tensor")
                    flat += [value.slot, 0, value.offset]
                elif count > 1:
                    items = list(value)  # type: ignore[arg-type]
                    flat += items + [0] * (count - len(items))
                else:
                    flat.append(value)
            return self._struct.pack(*flat)
        except (struct.error, TypeError, ValueError) as error:
            raise PluginError(f"arguments of kernel {self.name!r} do not fit: {error}") from None


def parse_layout(layout: str) -> list[tuple[int, str]]:
    """(count, letter) of every argument. Raises PluginError for an unknown letter."""
    codes: list[tuple[int, str]] = []
    digits = ""
    for character in layout:
        if character.isdigit():
            digits += character
        elif character in "TiIqQBfdP":
            count = int(digits or 1)
            codes += [(1, "T")] * count if character == "T" else [(count, character)]
            digits = ""
        else:
            raise PluginError(
                f"kernel layout {layout!r}: {character!r} is not one of T i I q Q B f d P"
            )
    return codes


class WeightStore(ABC):
    """Packed forms of constants, shared by all contexts of an engine."""

    @abstractmethod
    def pack(self, key: Sequence[object], make: Callable[[], Array]) -> TensorView:
        """The buffer for `key`, made once by `make` (any C-contiguous array).

        `key` must name everything the bytes depend on: the constant's digest, the shapes,
        the kernel and its packed layout.
        """


class CommandList:  # each device has its own
    """A recorded sequence of kernels, for `Stream.branch` and `Stream.repeat`."""


class Stream(ABC):
    """The recorder handed to `enqueue`.

    `device` names the device; `thread_count` is the team size to record for; `store` packs
    weights. Nothing may be allocated or waited for while the recording is replayed.
    """

    device: str
    thread_count: int
    store: WeightStore
    ordinal: int = 0
    """Which of the device's processors: 1 is the second GPU."""

    def launch(self, kernel: Kernel, *arguments: Argument) -> None:
        """Append one kernel with its arguments; they are copied."""
        self.launch_raw(kernel.address, kernel.pack(arguments), kernel)

    @abstractmethod
    def launch_raw(self, address: int, arguments: bytes, keep: object = None) -> None:
        """Append a kernel by address with a ready argument block (for authors with own structs).

        The ABI of plugrt_kernel.h is the CPU's; on device "cuda" use `launch_grid`.
        """

    @abstractmethod
    def keep(self, resource: object) -> None:
        """Keep `resource` alive as long as the recording."""

    @abstractmethod
    def host_callback(
        self,
        function: Callable[[list[Array], list[Array]], None],
        inputs: Sequence[TensorView],
        outputs: Sequence[TensorView],
    ) -> None:
        """Append a Python function of (input arrays, output arrays).

        It holds the interpreter's lock and fills the outputs in place; on CUDA it splits
        the graph. Prefer kernels.
        """

    @abstractmethod
    def record(
        self,
        body: Graph,
        inputs: Sequence[TensorView],
        outputs: Sequence[TensorView],
        workspace: TensorView,
    ) -> CommandList:
        """Record a body that reads and writes these tensors, its own ones in `workspace`."""

    @abstractmethod
    def branch(self, condition: TensorView, lists: Sequence[CommandList]) -> None:
        """Run lists[0] where the bool scalar is true, else lists[1]; decided on the device."""

    @abstractmethod
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
        """Run `body` while the bool scalar `condition` holds, at most `maximum` times.

        Before each run the run's number is written to `iteration` (int64). After it every
        `carried` pair (from, to) is copied, and of each `stacked` pair (element, all) the
        element is copied to row `run` of all. `count` (int64) receives the number of runs.
        """

    # ---- on device "cuda"; the others refuse -------------------------------------------------

    @property
    def handle(self) -> int:
        """The CUstream that is being captured, as a number: what cuDNN, CuPy, Triton and
        cuda.core take. Launch on no other stream, and wait for nothing.

        Raises PluginError on a device without such streams.
        """
        raise self._without_cuda("handle")

    def __cuda_stream__(self) -> tuple[int, int]:
        """Version and handle, by which cuda.core and CuPy take any library's stream. Raises like
        `handle`."""
        return 0, self.handle

    def address(self, view: TensorView) -> int:
        """The device address of a tensor's first element, valid in this recording alone.

        The core calls `enqueue` again for other addresses. Raises PluginError on a device
        whose tensors have addresses only at a replay.
        """
        raise self._without_cuda("address()")

    def launch_grid(
        self,
        kernel: CudaKernel,
        grid: Sequence[int],
        block: Sequence[int],
        *arguments: Argument,
        shared_bytes: int = 0,
    ) -> None:
        """Append a CUDA kernel; grid and block have one to three sizes.

        A grid with a size 0 launches nothing. `shared_bytes` is dynamic shared memory, up to the
        device's limit per block. Raises PluginError for arguments that do not fit the kernel's
        layout and on devices without CUDA, DeviceError for a launch that the GPU cannot do.
        """
        raise self._without_cuda("launch_grid()")

    def _without_cuda(self, what: str) -> PluginError:
        return PluginError(
            f"a stream of device {self.device!r} has no {what}; look at `stream.device` and leave "
            "'cuda' out of the layer's `devices` unless it records CUDA kernels"
        )
