"""Caffe layers, before they are written to any file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plugrt.plugins import Array


@dataclass(frozen=True)
class CaffeLayer:
    """One layer: it reads the blobs `bottoms`, writes `tops` and holds `weights`, which Caffe
    calls blobs as well. `parameters` are the fields of its type's parameter message."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[Array, ...] = ()
