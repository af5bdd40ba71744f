"""Epilogues that the C kernels of this package apply themselves."""

from __future__ import annotations

from math import inf

from plugrt.plugins import Epilogue
from plugrt.plugins.native import onednn

KEEP, LEAK, LIMIT = range(3)

Activation = tuple[int, tuple[float, float, float]]
"""struct activation in activation.h: kind, (slope, low, high)."""


def activation_of(epilogue: Epilogue) -> Activation | None:
    """The epilogue as one activation; None where it is more, or another."""
    if not epilogue:
        return KEEP, (1.0, -inf, inf)
    matched = onednn.post_ops_for(epilogue.composed())
    steps = matched.post_ops if matched is not None else ()
    if len(steps) != 1 or not isinstance(steps[0], onednn.Eltwise):
        return None
    step = steps[0]
    if step.algorithm is onednn.Algorithm.RELU:
        return LEAK, (step.alpha, -inf, inf)
    if step.algorithm in (onednn.Algorithm.CLIP, onednn.Algorithm.CLIP_V2):
        return LIMIT, (1.0, step.alpha, step.beta)
    return None
