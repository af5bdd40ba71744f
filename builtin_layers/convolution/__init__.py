"""Convolution: attributes, shape rule, reference, and every way to compute it."""

from .layer import Convolution

__all__ = ["Convolution"]
