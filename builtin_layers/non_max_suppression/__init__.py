"""NonMaxSuppression: the best boxes among overlapping ones."""

from .layer import NonMaxSuppression

__all__ = ["NonMaxSuppression"]
