"""Functions that several references use, in NumPy."""

from __future__ import annotations

import numpy as np

from plugrt.plugins import Array


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def softmax(x: Array, axis: int) -> Array:
    """exp(x) / sum(exp(x)) along `axis`."""
    powers: Array = np.exp(x - x.max(axis=axis, keepdims=True))
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers
