"""From a network to an engine."""

from .build import build
from .config import BuilderConfig, ShapeProfile

__all__ = ["BuilderConfig", "ShapeProfile", "build"]
