"""Upsample: enlarge the spatial axes by whole factors."""

from .layer import Upsample

__all__ = ["Upsample"]
