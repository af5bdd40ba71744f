"""Pooling: the maximum or the mean of windows."""

from .layers import AveragePooling, GlobalAveragePooling, GlobalMaxPooling, MaxPooling

__all__ = ["AveragePooling", "GlobalAveragePooling", "GlobalMaxPooling", "MaxPooling"]
