"""Primitives: made once per configuration, shared, and put into recordings as commands."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from threading import Lock
from typing import Any

import numpy as np

from ...data_types import DataType
from ...errors import DeviceError, PluginError
from ...stream import Stream
from ...tensor import Array, TensorView
from .._extension import MESSAGE_CAPACITY, ffi, kernel_address, lib, text_of
from ..immediate import aligned_empty, run_kernel
from .attributes import Attributes, Binary, make_attributes
from .constants import Argument, Query, post_op_operand, scales_of, zero_points_of
from .library import library
from .memory import MemoryDesc

Binding = tuple[int, int] | TensorView | Array
"""Where an argument lies: (slot, byte offset), a tensor of the recording, or a constant array."""

CreateDesc = Callable[[Any, Any, Any], int]
"""(result, engine, attributes) -> status: one of oneDNN's *_primitive_desc_create."""

_REFERENCE = re.compile(r"(^|[:_])ref")
_POINTER = struct.Struct("@P")


@dataclass(frozen=True)
class Command:
    """A primitive bound to the slots of a recording, as `Stream.launch_raw` takes it.

    It runs one call at a time; `keep` owns the memory objects and must outlive the recording.
    """

    address: int
    arguments: bytes
    keep: object


class Primitive:
    """An immutable operation of oneDNN, fixed in shapes, layouts, attributes and thread count.

    Reference implementations exist for completeness and are hundreds of times slower: see
    `is_reference`.
    """

    def __init__(
        self,
        kind: str,
        create_desc: CreateDesc,
        required: tuple[int, ...],
        attributes: Attributes,
        threads: int,
        skip: int,
        key: Hashable,
    ) -> None:
        onednn = library()
        self.kind = kind
        self.threads = threads
        self.attributes = attributes
        self._key = key
        self._lock = Lock()
        self._primitive: Any = None
        self._onednn = onednn
        api = onednn.api
        attr = make_attributes(onednn, attributes)
        handle = ffi.new("onednn_primitive_desc *")
        with _team_of(threads):
            onednn.check(create_desc(handle, onednn.engine, attr), kind)
            self._desc = ffi.gc(handle[0], api.primitive_desc_destroy)
            for _ in range(skip):
                status = api.primitive_desc_next_impl(self._desc)
                onednn.check(status, f"{kind}, implementation {skip}")
        self.required = required + self._attribute_arguments()

    @cached_property
    def implementation(self) -> str:
        """oneDNN's name of the implementation, for example "brgconv:avx512_core"."""
        name = ffi.new("char **")
        status = self._onednn.api.primitive_desc_query(
            self._desc, Query.IMPLEMENTATION_NAME, 0, name
        )
        self._onednn.check(status, f"the name of a {self.kind}")
        return text_of(name[0])

    @property
    def is_reference(self) -> bool:
        """True for plain loops that no engine should choose."""
        return _REFERENCE.search(self.implementation) is not None

    @cached_property
    def scratchpad_bytes(self) -> int:
        """Bytes of workspace to bind as SCRATCHPAD; 0 when none is needed."""
        handle = self._onednn.api.primitive_desc_query_md(self._desc, Query.SCRATCHPAD_DESC, 0)
        return int(self._onednn.api.memory_desc_get_size(handle)) if handle else 0

    def descriptor(self, argument: int) -> MemoryDesc:
        """The layout this primitive expects of an argument.

        Raises PluginError for an argument it does not have.
        """
        if argument == Argument.SCRATCHPAD:
            what, index = Query.SCRATCHPAD_DESC, 0
        elif argument & (Argument.ATTR_SCALES | Argument.ATTR_ZERO_POINTS):
            return self._parameter_descriptor(argument)
        else:
            what, index = Query.ARGUMENT_DESC, argument
        handle = self._onednn.api.primitive_desc_query_md(self._desc, what, index)
        if not handle:
            raise PluginError(f"{self!r} has no argument {argument}")
        return MemoryDesc(handle, (self._key, argument), owner=self._desc)

    @cached_property
    def source_desc(self) -> MemoryDesc:
        """Layout of SRC."""
        return self.descriptor(Argument.SRC)

    @cached_property
    def weights_desc(self) -> MemoryDesc:
        """Layout of WEIGHTS, to which `pack` brings them once."""
        return self.descriptor(Argument.WEIGHTS)

    @cached_property
    def destination_desc(self) -> MemoryDesc:
        """Layout of DST."""
        return self.descriptor(Argument.DST)

    def command(self, bindings: Mapping[int, Binding]) -> Command:
        """This primitive as one command of a recording.

        `bindings` maps each argument in `required` to where it lies; SCRATCHPAD is needed when
        `scratchpad_bytes` is not 0. Constant arrays must be C-contiguous; they are kept alive.
        Raises PluginError for a missing or unknown argument or a constant of the wrong size,
        DeviceError when oneDNN fails.
        """
        missing = [number for number in self.required if number not in bindings]
        if self.scratchpad_bytes and Argument.SCRATCHPAD not in bindings:
            raise PluginError(
                f"{self!r} needs {self.scratchpad_bytes} bytes of workspace bound as SCRATCHPAD"
            )
        if missing:
            raise PluginError(
                f"{self!r}: argument {missing[0]} is not bound; it needs {self.required}"
            )
        rows = [(number, binding) for number, binding in bindings.items() if self._takes(number)]
        native = ffi.new("plugrt_onednn_binding[]", len(rows))
        kept: list[object] = [self, self._handle()]
        for row, (number, binding) in zip(native, rows, strict=True):
            desc = self.descriptor(number)
            row.argument = number
            row.desc = desc.handle
            kept.append(desc)
            if isinstance(binding, np.ndarray):
                kept.append(binding)
                row.constant = self._constant_address(number, desc, binding)
            else:
                slot, offset = binding.ref if isinstance(binding, TensorView) else binding
                row.slot, row.offset = slot, offset
        message = ffi.new("char[]", MESSAGE_CAPACITY)
        execution = lib.plugrt_onednn_execution_create(
            self._onednn.api,
            self._onednn.engine,
            self._handle(),
            len(rows),
            native,
            message,
            MESSAGE_CAPACITY,
        )
        if execution == ffi.NULL:
            raise DeviceError(f"{self!r} cannot be recorded: {text_of(message)}")
        owned = ffi.gc(execution, lib.plugrt_onednn_execution_destroy)
        # The execution goes first: it refers to everything else.
        keep = _Keep(owned, kept)
        address = int(ffi.cast("uintptr_t", execution))
        return Command(kernel_address("plugrt_onednn_execute"), _POINTER.pack(address), keep)

    def record(self, stream: Stream, bindings: Mapping[int, Binding]) -> None:
        """Append this primitive to a stream; `bindings` as in `command`."""
        command = self.command(bindings)
        stream.launch_raw(command.address, command.arguments, command.keep)

    def execute(self, arrays: Mapping[int, Array]) -> None:
        """Run now on arrays in the primitive's layouts; DST is written in place.

        For packing, folding and tests; recordings use `command`. Raises like `command`.
        """
        slots = dict(arrays)
        if self.scratchpad_bytes:
            slots.setdefault(Argument.SCRATCHPAD, aligned_empty(self.scratchpad_bytes))
        command = self.command({number: (slot, 0) for slot, number in enumerate(slots)})
        run_kernel(command.address, command.arguments, list(slots.values()), self.threads)

    def __repr__(self) -> str:
        return f"{self.kind} ({self.implementation})"

    def _handle(self) -> Any:
        # Generating code takes milliseconds: left until a candidate is really used.
        with self._lock:
            if self._primitive is None:
                handle = ffi.new("onednn_primitive *")
                with _team_of(self.threads):
                    status = self._onednn.api.primitive_create(handle, self._desc)
                self._onednn.check(status, repr(self))
                self._primitive = ffi.gc(handle[0], self._onednn.api.primitive_destroy)
            return self._primitive

    def _attribute_arguments(self) -> tuple[int, ...]:
        operands = [
            post_op_operand(index)
            for index, post_op in enumerate(self.attributes.post_ops)
            if isinstance(post_op, Binary)
        ]
        scales = [scales_of(argument) for argument, _ in self.attributes.scales]
        zeros = [zero_points_of(argument) for argument, _ in self.attributes.zero_points]
        return (*operands, *scales, *zeros)

    def _takes(self, argument: int) -> bool:
        if argument == Argument.SCRATCHPAD:
            return self.scratchpad_bytes > 0
        if argument not in self.required:
            raise PluginError(f"{self!r} has no argument {argument}; it has {self.required}")
        return True

    def _parameter_descriptor(self, argument: int) -> MemoryDesc:
        is_scale = bool(argument & Argument.ATTR_SCALES)
        flag = Argument.ATTR_SCALES if is_scale else Argument.ATTR_ZERO_POINTS
        masks = self.attributes.scales if is_scale else self.attributes.zero_points
        target = argument & ~flag
        mask = dict(masks)[target]
        dims = self.descriptor(target).dims if mask else ()
        count = prod(size for axis, size in enumerate(dims) if mask >> axis & 1)
        return MemoryDesc.dense((count,), DataType.FLOAT32 if is_scale else DataType.INT32)

    def _constant_address(self, argument: int, desc: MemoryDesc, array: Array) -> Any:
        if not array.flags.c_contiguous or array.nbytes != desc.nbytes:
            raise PluginError(
                f"{self!r}: the constant of argument {argument} has {array.nbytes} bytes "
                f"(C-contiguous: {array.flags.c_contiguous}); it needs {desc.nbytes}, C-contiguous"
            )
        return ffi.cast("void *", array.ctypes.data)


class _Keep:
    """Owns an execution and, released after it, what the execution refers to."""

    def __init__(self, execution: Any, rest: list[object]) -> None:
        self._execution = execution
        self._rest = rest
        self._release = ffi.release  # at interpreter exit the module's names may be gone

    def __del__(self) -> None:
        self._release(self._execution)


@contextmanager
def _team_of(threads: int) -> Iterator[None]:
    """oneDNN partitions work at creation, for the team size OpenMP then reports."""
    before = lib.plugrt_get_num_threads()
    lib.plugrt_set_num_threads(threads)
    try:
        yield
    finally:
        lib.plugrt_set_num_threads(before)
