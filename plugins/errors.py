"""Errors a user of plugrt may meet.

A message names the object, the value found, what is allowed, and what to do.
"""

from __future__ import annotations


class PlugrtError(Exception):
    """Base of every error that plugrt raises on purpose."""


class LayerAttributeError(PlugrtError, ValueError):
    """A layer attribute is unknown, missing, or has a value its schema forbids."""


class ShapeError(PlugrtError, ValueError):
    """Shapes, types or ranks do not fit together."""


class ModelError(PlugrtError, ValueError):
    """A model file (network definition or weights) is damaged or not supported."""


class PluginError(PlugrtError):
    """A plug-in is missing, conflicts with another, or breaks the contract."""


class PlanError(PlugrtError, ValueError):
    """An engine file is damaged, hostile, too new, or needs absent plug-ins."""


class DeviceError(PlugrtError, RuntimeError):
    """A device is absent, or a kernel or allocation failed on it."""


class CalibrationError(PlugrtError, ValueError):
    """Ranges for a low-precision type cannot be found."""
