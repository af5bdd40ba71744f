"""Convolution, by oneDNN or by kernels of this package, whichever is faster."""

from .layer import Convolution

__all__ = ["Convolution"]
