"""CUDA kernels of one's own: source, compiled when first launched, and argument layout."""

from __future__ import annotations

import ctypes
import struct
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import DeviceError, PluginError
from ...stream import Argument, parse_layout
from ...tensor import TensorView
from .architectures import ARCHITECTURES, architecture_name, best_for
from .compiler import Compiled, compile_kernel, kernel_key
from .devices import Context
from .driver_calls import CudaError, call, explained
from .early_starts import can_start_early, early_launch, remember_awaiting
from .lent_code import LentCode, is_anything_lent, lent
from .packages import driver
from .parameter_check import check_parameters


@dataclass(frozen=True)
class CudaSource:
    """CUDA C++ text. `name` stands in the compiler's messages; `headers` maps the names of
    own headers to their text."""

    text: str
    name: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KernelResources:
    """What one thread or block of a compiled kernel takes."""

    registers: int
    local_bytes: int
    """Spilled registers and arrays with run-time indices, per thread; better 0."""
    shared_bytes: int
    """Static shared memory per block."""
    constant_bytes: int
    threads_per_block: int
    """The most that fit."""


class CudaKernel:
    """A `__global__` function of a source, and the layout of its parameters.

    `function` is its name, or a name expression such as "scale<float, 4>" for a template.
    `layout` spells its parameters one by one: `T` a pointer to a tensor's first element,
    `i`/`I` 32-bit, `q`/`Q` 64-bit, `B` 8-bit integers, `f`/`d` floats, `P` an address; a number
    makes a struct by value of one array (`4q` is `struct { long long v[4]; }`).
    `architectures` lists those it is written for (default: all); one with special features,
    such as "sm_90a", runs on that GPU alone. `overlaps`: it may begin before the kernel ahead of
    it on the stream has ended, since it waits as dependency.cuh says.

        scale = CudaKernel(CudaSource(text, "scale.cu"), "scale<float>", "TTqf")
        stream.launch_grid(scale, [blocks], [256], inputs[0], outputs[0], count, 2.0)
    """

    def __init__(
        self,
        source: CudaSource,
        function: str,
        layout: str,
        options: Sequence[str] = (),
        architectures: Sequence[str] | None = None,
        *,
        overlaps: bool = False,
    ) -> None:
        self.source = source
        self.function = function
        self.options = tuple(options)
        self.overlaps = overlaps
        given = ARCHITECTURES if architectures is None else architectures
        self.architectures = tuple(architecture_name(name) for name in given)
        self.is_portable = architectures is None
        self._codes = parse_layout(layout)
        self._formats = [
            struct.Struct("@Q" if code == "T" else f"@{count}{code}") for count, code in self._codes
        ]
        self._lock = threading.Lock()
        self._compiled: dict[str, Compiled] = {}
        self._keys: dict[str, str] = {}
        self._loaded: weakref.WeakKeyDictionary[Context, dict[str, _Loaded]] = (
            weakref.WeakKeyDictionary()
        )
        """By the digest of the code that an engine has brought along; "" is our own."""

    def __repr__(self) -> str:
        return f"CudaKernel({self.source.name}: {self.function})"

    def compile(self, architecture: str | int | tuple[int, int]) -> bytes:
        """The cubin for an architecture; needs no GPU. Raises DeviceError with the log."""
        return self._code(architecture_name(architecture)).image

    @property
    def identity(self) -> Hashable:
        """Equal for kernels whose code is equal on one GPU."""
        source = self.source
        return source.text, source.name, tuple(source.headers.items()), self.function, self.options

    def stored(self, ordinal: int) -> tuple[str, bytes]:
        """Key and payload in the cache of kernels, or those that the engine which records now has
        brought along. Raises DeviceError where the GPU has none."""
        target = self._target_for(Context.of(ordinal))
        brought = self._lent(target)
        if brought is not None:
            return self._key(target), brought.payload
        code = self._code(target)
        return code.key, code.stored

    @property
    def parameter_sizes(self) -> list[int]:
        """Bytes of each parameter, by the layout."""
        return [form.size for form in self._formats]

    def supports(self, architecture: str | int | tuple[int, int]) -> bool:
        """Whether it is written for GPUs of this architecture."""
        return self._target(architecture_name(architecture)) is not None

    def parameters(
        self, arguments: Sequence[Argument], address: Callable[[TensorView], int]
    ) -> list[bytes]:
        """The bytes of every parameter. Raises PluginError when they do not fit the layout."""
        packed = []
        try:
            for (count, code), form, value in zip(
                self._codes, self._formats, arguments, strict=True
            ):
                if code == "T":
                    if not isinstance(value, TensorView):
                        raise TypeError(f"{value!r} is not a tensor")
                    packed.append(form.pack(address(value)))
                elif count > 1:
                    items = list(value)  # type: ignore[arg-type]
                    packed.append(form.pack(*items, *[0] * (count - len(items))))
                else:
                    packed.append(form.pack(value))
        except (struct.error, TypeError, ValueError) as error:
            raise PluginError(f"arguments of {self} do not fit: {error}") from None
        return packed

    def launch(
        self, context: Context, stream: int, grid: Sequence[int], block: Sequence[int],
        parameters: Sequence[bytes], shared_bytes: int = 0,
    ) -> None:  # fmt: skip
        """Put it on a stream; `Stream.launch_grid` is the way for layers. The context must be
        current. Raises DeviceError for a launch that the GPU cannot do."""
        blocks, threads = _three(grid, "grid", self), _three(block, "block", self)
        if 0 in blocks:
            return
        loaded = self._on(context)
        loaded.allow_shared(shared_bytes, self, context)
        values = [ctypes.create_string_buffer(value, len(value)) for value in parameters]
        pointers = (ctypes.c_void_p * max(len(values), 1))(
            *(ctypes.addressof(value) for value in values)
        )
        module = driver()
        if loaded.awaits_predecessors:
            config = early_launch(blocks, threads, shared_bytes, stream)
            (error,) = module.cuLaunchKernelEx(
                config, loaded.handle, ctypes.addressof(pointers), 0
            )
        else:
            (error,) = module.cuLaunchKernel(
                loaded.handle, *blocks, *threads, shared_bytes, stream,
                ctypes.addressof(pointers), 0,
            )  # fmt: skip
        if int(error):
            doing = (f"launching {self} with grid {blocks}, block {threads}, "
                     f"{shared_bytes} bytes of shared memory")  # fmt: skip
            raise explained(error, "cuLaunchKernel", doing)

    def resources(self, ordinal: int = 0) -> KernelResources:
        """Registers, memory and the largest block on a GPU. Raises DeviceError."""
        context = Context.of(ordinal)
        with context.current():
            handle = self._on(context).handle

            def ask(name: str) -> int:
                attribute = getattr(driver().CUfunction_attribute, f"CU_FUNC_ATTRIBUTE_{name}")
                return int(call("cuFuncGetAttribute", attribute, handle))

            return KernelResources(
                ask("NUM_REGS"), ask("LOCAL_SIZE_BYTES"), ask("SHARED_SIZE_BYTES"),
                ask("CONST_SIZE_BYTES"), ask("MAX_THREADS_PER_BLOCK"),
            )  # fmt: skip

    def blocks_per_multiprocessor(
        self, threads: int, shared_bytes: int = 0, ordinal: int = 0
    ) -> int:
        """How many blocks of so many threads run at once on one multiprocessor."""
        context = Context.of(ordinal)
        with context.current():
            loaded = self._on(context)
            loaded.allow_shared(shared_bytes, self, context)
            return int(
                call("cuOccupancyMaxActiveBlocksPerMultiprocessor", loaded.handle, threads,
                     shared_bytes)
            )  # fmt: skip

    def _target(self, device: str) -> str | None:
        if device in self.architectures or self.is_portable:
            return device
        return best_for(self.architectures, device)

    def _code(self, architecture: str) -> Compiled:
        with self._lock:
            found = self._compiled.get(architecture)
            if found is None:
                source = self.source
                found = self._compiled[architecture] = compile_kernel(
                    source.text, source.name, source.headers, self.function, self.options,
                    architecture,
                )  # fmt: skip
            return found

    def _key(self, architecture: str) -> str:
        found = self._keys.get(architecture)
        if found is None:
            source = self.source
            found = self._keys[architecture] = kernel_key(
                source.text, source.name, source.headers, self.function, self.options,
                architecture,
            )  # fmt: skip
        return found

    def _lent(self, architecture: str) -> LentCode | None:
        return lent(self._key(architecture)) if is_anything_lent() else None

    def _target_for(self, context: Context) -> str:
        device = context.properties.architecture
        target = self._target(device)
        if target is None:
            raise DeviceError(
                f"{self} is written for {', '.join(self.architectures)} and GPU "
                f"{context.ordinal} is {device}; use another tactic"
            )
        return target

    def _on(self, context: Context) -> _Loaded:
        brought = self._lent(self._target_for(context)) if is_anything_lent() else None
        version = "" if brought is None else brought.digest
        found = self._loaded.get(context, {}).get(version)
        if found is None:
            target = self._target_for(context)
            code = (
                self._code(target) if brought is None
                else Compiled.from_stored(brought.payload, self._key(target))
            )  # fmt: skip
            with self._lock:
                versions = self._loaded.setdefault(context, {})
                found = versions.get(version)
                if found is None:
                    architecture = context.properties.architecture
                    found = versions[version] = _Loaded(code, self, architecture)
        return found


class _Loaded:
    """A kernel in one context."""

    def __init__(self, code: Compiled, kernel: CudaKernel, architecture: str) -> None:
        doing = f"loading {kernel}"
        # A program of one context: released with it, also when the kernel is forgotten first.
        self.module = call("cuModuleLoadData", code.image, what=doing)
        self.handle = call("cuModuleGetFunction", self.module, code.symbol.encode(), what=doing)
        check_parameters(self.handle, kernel.parameter_sizes, kernel)
        self._shared = 48 << 10
        self.awaits_predecessors = kernel.overlaps and can_start_early(architecture)
        if self.awaits_predecessors:
            remember_awaiting(int(self.handle))

    def allow_shared(self, nbytes: int, kernel: CudaKernel, context: Context) -> None:
        """Raise the limit of dynamic shared memory where a launch needs it."""
        if nbytes <= self._shared:
            return
        attribute = driver().CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        try:
            call("cuFuncSetAttribute", self.handle, attribute, nbytes)
        except CudaError:
            limit = context.properties.shared_bytes_per_block
            raise DeviceError(
                f"{kernel} asks for {nbytes:,} bytes of shared memory per block; GPU "
                f"{context.ordinal} has {limit:,}: use smaller tiles"
            ) from None
        self._shared = nbytes


def _three(sizes: Sequence[int], what: str, kernel: CudaKernel) -> tuple[int, int, int]:
    values = [int(size) for size in sizes]
    if not 1 <= len(values) <= 3 or any(value < 0 for value in values):
        raise PluginError(f"{kernel}: {what} {tuple(sizes)} needs one to three sizes of 0 or more")
    return tuple([*values, 1, 1][:3])  # type: ignore[return-value]
