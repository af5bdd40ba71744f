"""Which converter belongs to which type of layer."""

from __future__ import annotations

from collections.abc import Callable

from ..conversion import Conversion, NotExportableError

Converter = Callable[[Conversion], str]
"""Adds Caffe layers that are equal to a layer of plugrt. Returns the blob of the result; raises
NotExportableError for what Caffe's layers cannot form."""

_CONVERTERS: dict[str, Converter] = {}


def converts(*types: str) -> Callable[[Converter], Converter]:
    """Registers a converter for plugrt's layers of these types."""

    def register(converter: Converter) -> Converter:
        _CONVERTERS.update(dict.fromkeys(types, converter))
        return converter

    return register


def converter_for(type_name: str) -> Converter:
    """The converter for a type. Raises NotExportableError where there is none."""
    found = _CONVERTERS.get(type_name)
    if found is None:
        raise NotExportableError(f"Caffe's layers do not form its layer {type_name}")
    return found
