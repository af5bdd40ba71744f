"""Engines and their files."""

from .engine import Engine

__all__ = ["Engine"]
