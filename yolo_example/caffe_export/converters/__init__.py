"""plugrt's layers as Caffe layers: one converter each, in the modules here.

A new module needs no entry anywhere: `converts` registers its functions.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from .registry import converter_for

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["converter_for"]
