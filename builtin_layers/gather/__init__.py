"""Gather: slices of a tensor, by index."""

from .layer import Gather

__all__ = ["Gather"]
