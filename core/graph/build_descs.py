"""Descriptions of tensors at the sizes and in the format that a build tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...plugins import Format, Shape, TensorDesc

Concretise = Callable[[Shape], tuple[int, ...]]
"""A shape at the sizes that the build is for."""


def build_desc(desc: TensorDesc, layout: Format, concretise: Concretise) -> TensorDesc:
    """`desc` at build sizes, in `layout` where its shape can have it; constants stay LINEAR.

    Symbolic contents are dropped, constant ones kept.
    """
    shape = concretise(desc.shape)
    fits = layout.accepts(shape) and not desc.is_constant
    return replace(
        desc, shape=shape, format=layout if fits else Format.LINEAR,
        value=desc.value if desc.is_constant else None,
    )  # fmt: skip


def float_desc(desc: TensorDesc, layout: Format, concretise: Concretise) -> TensorDesc:
    """The same without a scale: what is asked about before 8-bit storage is decided."""
    return replace(build_desc(desc, layout, concretise), quantization=None)
