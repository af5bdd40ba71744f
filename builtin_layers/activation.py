"""The activations that our own C kernels apply to their results while these are in registers."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ..plugins import Epilogue

NONE, LEAKY, CLIP = range(3)
"""enum activation_kind in activation.h."""


@dataclass(frozen=True)
class Activation:
    """struct activation in activation.h: `parameters` are slope, low, high."""

    kind: int = NONE
    parameters: tuple[float, float, float] = (1.0, -inf, inf)


def activation_of(epilogue: Epilogue) -> Activation | None:
    """The epilogue as one activation; None where it is more than that."""
    from ..plugins.native.onednn import Algorithm, Eltwise, post_ops_for

    if not epilogue:
        return Activation()
    matched = post_ops_for(epilogue.composed())
    if matched is None or len(matched.post_ops) != 1:
        return None
    (post_op,) = matched.post_ops
    if not isinstance(post_op, Eltwise):
        return None
    if post_op.algorithm is Algorithm.RELU:
        return Activation(LEAKY, (post_op.alpha, -inf, inf))
    if post_op.algorithm in (Algorithm.CLIP, Algorithm.CLIP_V2):
        return Activation(CLIP, (1.0, post_op.alpha, post_op.beta))
    return None
