"""Separable convolution: 1x1, depthwise and 1x1 convolutions in one pass."""

from .layer import SeparableConvolution

__all__ = ["SeparableConvolution"]
