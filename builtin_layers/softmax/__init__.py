"""Softmax and its logarithm."""

from .layer import LogSoftmax, Softmax

__all__ = ["LogSoftmax", "Softmax"]
