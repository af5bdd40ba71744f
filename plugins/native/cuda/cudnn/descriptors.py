"""Backend descriptors: attributes by name, finalised, destroyed with their owner."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from ..devices import Context
from .library import check, ffi, library

# cudnnBackendDescriptorType_t
POINTWISE, CONVOLUTION, ENGINE, ENGINE_CONFIG, ENGINE_HEURISTIC, PLAN = range(6)
KNOB_CHOICE = 7
OPERATION_CONVOLUTION_FORWARD = 10
OPERATION_POINTWISE = 13
OPERATION_GRAPH = 15
VARIANT_PACK = 16
TENSOR = 17

_NAMES = {
    POINTWISE: "a pointwise operator", CONVOLUTION: "a convolution", ENGINE: "an engine",
    ENGINE_CONFIG: "an engine's configuration", ENGINE_HEURISTIC: "a heuristic", PLAN: "a plan",
    KNOB_CHOICE: "a knob", OPERATION_CONVOLUTION_FORWARD: "a convolution's operands",
    OPERATION_POINTWISE: "a pointwise operation", OPERATION_GRAPH: "an operation graph",
    VARIANT_PACK: "the tensors of a call", TENSOR: "a tensor",
}  # fmt: skip

ATTRIBUTES = {
    "pointwise_mode": 0,
    "pointwise_precision": 1,
    "relu_lower_clip": 3,
    "relu_upper_clip": 4,
    "relu_slope": 5,
    "elu_alpha": 6,
    "softplus_beta": 7,
    "swish_beta": 8,
    "convolution_precision": 100,
    "convolution_mode": 101,
    "convolution_dilations": 102,
    "convolution_strides": 103,
    "convolution_post_paddings": 104,
    "convolution_pre_paddings": 105,
    "convolution_spatial_dims": 106,
    "heuristic_mode": 200,
    "heuristic_graph": 201,
    "heuristic_results": 202,
    "config_engine": 300,
    "config_knobs": 302,
    "plan_handle": 400,
    "plan_config": 401,
    "plan_workspace": 402,
    "plan_json": 405,
    "knob_type": 600,
    "knob_value": 601,
    "forward_alpha": 700,
    "forward_beta": 701,
    "forward_convolution": 702,
    "forward_weights": 703,
    "forward_input": 704,
    "forward_output": 705,
    "operation_pointwise": 750,
    "operation_x": 751,
    "operation_b": 752,
    "operation_y": 753,
    "graph_handle": 800,
    "graph_operations": 801,
    "tensor_alignment": 900,
    "tensor_type": 901,
    "tensor_dimensions": 902,
    "tensor_strides": 903,
    "tensor_uid": 906,
    "tensor_virtual": 907,
    "tensor_by_value": 908,
    "pack_uids": 1000,
    "pack_pointers": 1001,
    "pack_workspace": 1003,
    "engine_graph": 1300,
    "engine_index": 1301,
    "engine_numerical_notes": 1303,
    "engine_behavior_notes": 1305,
}
"""Our names of the attributes, and cudnnBackendAttributeName_t."""

TYPES = {
    "handle": (0, "cudnnHandle_t"),
    "data_type": (1, "int"),
    "boolean": (2, "bool"),
    "int64": (3, "int64_t"),
    "float": (4, "float"),
    "double": (5, "double"),
    "pointer": (6, "void *"),
    "convolution_mode": (7, "int"),
    "heuristic_mode": (8, "int"),
    "knob_type": (9, "int"),
    "numerical_note": (11, "int"),
    "pointwise_mode": (14, "int"),
    "descriptor": (15, "cudnnBackendDescriptor_t"),
    "behavior_note": (19, "int"),
    "char": (24, "char"),
}
"""Our names of the element types, cudnnBackendAttributeType_t, and their C types."""


class Descriptor:
    """A descriptor of the backend; what belongs to a `context` keeps it alive. Raises
    CudnnError wherever cuDNN refuses something."""

    def __init__(self, kind: int, context: Context | None = None) -> None:
        self.kind = kind
        self._kept: list[Any] = []
        place = ffi.new("cudnnBackendDescriptor_t *")
        check(library().cudnnBackendCreateDescriptor(kind, place), self._doing("making"))
        self.cudnn = place[0]
        # A plan's code belongs to a context, which must not be released before.
        weakref.finalize(self, _destroy, self.cudnn, context).atexit = False

    def _doing(self, verb: str) -> str:
        return f"{verb} {_NAMES[self.kind]}"

    def set(self, name: str, kind: str, *values: Any) -> Descriptor:
        """Set an attribute's elements; descriptors given are kept alive."""
        number, ctype = TYPES[kind]
        if kind == "descriptor":
            self._kept += values
            values = tuple(value.cudnn for value in values)
        elif kind == "pointer":
            values = tuple(ffi.cast("void *", value) for value in values)
        elements = ffi.new(f"{ctype}[]", list(values))
        status = library().cudnnBackendSetAttribute(
            self.cudnn, ATTRIBUTES[name], number, len(values), elements
        )
        check(status, self._doing(f"setting {name} of"))
        return self

    def set_text(self, name: str, text: bytes) -> Descriptor:
        """Set an attribute of characters."""
        status = library().cudnnBackendSetAttribute(
            self.cudnn, ATTRIBUTES[name], TYPES["char"][0], len(text), ffi.from_buffer(text)
        )
        check(status, self._doing(f"setting {name} of"))
        return self

    def finalize(self) -> Descriptor:
        """Close it; afterwards it can be read and used."""
        check(library().cudnnBackendFinalize(self.cudnn), self._doing("checking"))
        return self

    def get(self, name: str, kind: str, at_most: int = 1) -> list[Any]:
        """Up to so many plain elements of an attribute."""
        number, ctype = TYPES[kind]
        elements = ffi.new(f"{ctype}[]", at_most)
        return list(elements[0 : self._get(name, number, at_most, elements)])

    def get_text(self, name: str) -> bytes:
        """An attribute of characters."""
        number = TYPES["char"][0]
        size = self._get(name, number, 0, ffi.NULL)
        elements = ffi.new("char[]", max(size, 1))
        return bytes(ffi.buffer(elements, self._get(name, number, size, elements)))

    def get_descriptors(self, name: str, kind: int, at_most: int) -> list[Descriptor]:
        """Up to so many descriptors that an attribute holds."""
        number = TYPES["descriptor"][0]
        # Some attributes do not tell their count beforehand; then room for all is offered.
        count = min(self._get(name, number, 0, ffi.NULL) or at_most, at_most)
        found = [Descriptor(kind) for _ in range(count)]
        elements = ffi.new("cudnnBackendDescriptor_t[]", [item.cudnn for item in found])
        return found[: self._get(name, number, count, elements)]

    def _get(self, name: str, number: int, requested: int, elements: Any) -> int:
        count = ffi.new("int64_t *")
        status = library().cudnnBackendGetAttribute(
            self.cudnn, ATTRIBUTES[name], number, requested, count, elements
        )
        check(status, self._doing(f"reading {name} of"))
        return min(int(count[0]), requested) if requested else int(count[0])


def _destroy(descriptor: Any, context: Context | None) -> None:
    library().cudnnBackendDestroyDescriptor(descriptor)


def made(kind: int, **attributes: Sequence[Any]) -> Descriptor:
    """A finalised descriptor; each attribute is (element type, value, ...)."""
    descriptor = Descriptor(kind)
    for name, (element, *values) in attributes.items():
        descriptor.set(name, element, *values)
    return descriptor.finalize()
