"""NonZero: where a tensor is not zero."""

from .layer import NonZero

__all__ = ["NonZero"]
