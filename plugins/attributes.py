"""Attributes of layers: declared once, checked, documented and serialised from the declaration.

    class LeakyReLU(LayerPlugin):
        slope = attribute(float, 0.1, "factor for negative inputs")

Values travel in plans and plug-in states as JSON with a binary tail for arrays, never as
pickles.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast, overload

import numpy as np

from .data_types import DataType
from .errors import LayerAttributeError, PlanError
from .graph import Graph

T = TypeVar("T")

_REQUIRED: Any = object()
_HEADER = struct.Struct("<I")


class attribute(Generic[T]):  # noqa: N801 - reads as a declaration, like `property`
    """One attribute of a layer class.

    `kind` is bool, int, float, str, DataType, Graph, np.ndarray, or a homogeneous
    tuple such as tuple[int, ...]. Without `default` the attribute is required.
    `allowed` lists the legal values, or is a predicate (then `rule` says it in words).
    """

    name: str

    def __init__(
        self,
        kind: Callable[..., T] | Any,
        default: T = _REQUIRED,
        doc: str = "",
        *,
        allowed: tuple[T, ...] | Callable[[T], bool] | None = None,
        rule: str = "",
    ) -> None:
        self.kind = kind
        self.default = default
        self.doc = doc
        self.allowed = allowed
        self.rule = rule

    @property
    def required(self) -> bool:
        """True when there is no default."""
        return self.default is _REQUIRED

    @property
    def kind_name(self) -> str:
        """The kind as an author would write it."""
        element = self.element
        if element is not None:
            return f"tuple[{element.__name__}, ...]"
        return cast(str, getattr(self.kind, "__name__", str(self.kind)))

    @property
    def element(self) -> type | None:
        """The element type of a tuple attribute, else None."""
        arguments = getattr(self.kind, "__args__", ())
        return cast(type, arguments[0]) if arguments else None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> attribute[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> attribute[T] | T:
        if instance is None:
            return self
        return cast(T, instance.__dict__[self.name])

    def check(self, owner: str, value: Any) -> T:
        """`value` in this attribute's type. Raises LayerAttributeError naming what is allowed."""
        try:
            converted = self._convert(value)
        except (TypeError, ValueError, OverflowError):
            raise LayerAttributeError(
                f"{owner}: attribute {self.name}={value!r} is not {self.kind_name}"
            ) from None
        if self.allowed is None:
            return converted
        legal = self.allowed(converted) if callable(self.allowed) else converted in self.allowed
        if not legal:
            choices = self.rule or (
                "a value that its declaration accepts" if callable(self.allowed)
                else ", ".join(map(repr, self.allowed))
            )  # fmt: skip
            raise LayerAttributeError(
                f"{owner}: attribute {self.name}={value!r} is not allowed; use {choices}"
            )
        return converted

    def _convert(self, value: Any) -> T:
        if self.element is not None:
            if isinstance(value, (str, bytes)):
                raise TypeError
            if isinstance(value, (int, float)):
                value = (value,)
            return cast(T, tuple(_scalar(self.element, item) for item in value))
        if self.kind is np.ndarray:
            return cast(T, np.ascontiguousarray(value))
        return cast(T, _scalar(self.kind, value))


def _scalar(kind: Any, value: Any) -> Any:
    if kind is DataType:
        return DataType.of(value)
    if kind is Graph:
        if not isinstance(value, Graph):
            raise TypeError
        return value
    if kind is str or kind is bool:
        if not isinstance(value, (kind, np.bool_) if kind is bool else kind):
            raise TypeError
        return kind(value)
    if isinstance(value, (str, bytes)) or (kind is int and isinstance(value, float) and value % 1):
        raise TypeError
    return kind(value)


class Schema(Mapping[str, attribute[Any]]):
    """The attributes of a layer class, in the order of declaration."""

    def __init__(self, attributes: Mapping[str, attribute[Any]]) -> None:
        self._attributes = dict(attributes)

    @classmethod
    def of(cls, owner: type) -> Schema:
        """Collect the declarations of a class and its bases."""
        found: dict[str, attribute[Any]] = {}
        for base in reversed(owner.__mro__):
            found.update({k: v for k, v in vars(base).items() if isinstance(v, attribute)})
        return cls(found)

    def __getitem__(self, name: str) -> attribute[Any]:
        return self._attributes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._attributes)

    def __len__(self) -> int:
        return len(self._attributes)

    def check(self, owner: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """All attributes with defaults filled in.

        Raises LayerAttributeError for an unknown, missing or illegal one.
        """
        unknown = [name for name in values if name not in self]
        if unknown:
            known = ", ".join(self) or "none"
            raise LayerAttributeError(
                f"{owner}: unknown attribute {unknown[0]!r}; it has: {known}"
            )
        checked = {}
        for name, declared in self.items():
            if name in values:
                checked[name] = declared.check(owner, values[name])
            elif declared.required:
                raise LayerAttributeError(
                    f"{owner}: attribute {name!r} ({declared.kind_name}) is missing"
                )
            else:
                checked[name] = declared.default
        return checked

    def accepts(self, other: Schema) -> str | None:
        """None when a layer with this schema can stand in for one with `other`, else why not."""
        for name, wanted in other.items():
            mine = self.get(name)
            if mine is None:
                return f"it has no attribute {name!r}"
            if mine.kind_name != wanted.kind_name:
                return f"its attribute {name!r} is {mine.kind_name}, not {wanted.kind_name}"
            if mine.required and not wanted.required:
                return f"its attribute {name!r} has no default"
        extra = [n for n, mine in self.items() if n not in other and mine.required]
        return f"it requires the further attribute {extra[0]!r}" if extra else None


def encode_attributes(values: Mapping[str, Any]) -> bytes:
    """Canonical bytes of attribute values. Graph attributes are left to the engine file."""
    blobs: list[bytes] = []
    plain = {name: _encode(value, blobs) for name, value in values.items()}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    return b"".join([_HEADER.pack(len(text)), text, *blobs])


def decode_attributes(state: bytes) -> dict[str, Any]:
    """Inverse of `encode_attributes`. Raises PlanError for damaged bytes."""
    try:
        (length,) = _HEADER.unpack_from(state)
        if length > len(state) - _HEADER.size:
            raise ValueError("header leaves the state")
        end = _HEADER.size + length
        plain = json.loads(state[_HEADER.size : end])
        return {str(name): _decode(value, state[end:]) for name, value in plain.items()}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError,
            struct.error) as error:
        raise PlanError(f"damaged attribute state ({error}); rebuild the plan") from None


def _encode(value: Any, blobs: list[bytes]) -> Any:
    if isinstance(value, DataType):
        return {"dtype": value.value}
    if isinstance(value, np.ndarray):
        start = sum(map(len, blobs))
        blobs.append(value.tobytes())
        dtype = DataType.of(value.dtype).value
        return {"array": [dtype, list(value.shape), start, len(blobs[-1])]}
    if isinstance(value, Graph):
        return {"graph": None}
    if isinstance(value, tuple):
        return [_encode(item, blobs) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": str(value)}
    return value


def _decode(value: Any, tail: bytes) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item, tail) for item in value)
    if not isinstance(value, dict):
        return value
    if "dtype" in value:
        return DataType.of(value["dtype"])
    if "float" in value:
        return float(value["float"])
    if "graph" in value:
        return None
    name, shape, start, length = value["array"]
    if not 0 <= start <= start + length <= len(tail):
        raise ValueError("array leaves the state")
    flat = np.frombuffer(tail[start : start + length], DataType.of(name).numpy)
    return flat.reshape(shape)
