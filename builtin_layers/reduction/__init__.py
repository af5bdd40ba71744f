"""Reductions along axes: sums, means, maxima, and where the maximum is."""

from .arg_max import ArgMax
from .reduce import ReduceMax, ReduceMean, ReduceSum

__all__ = ["ArgMax", "ReduceMax", "ReduceMean", "ReduceSum"]
