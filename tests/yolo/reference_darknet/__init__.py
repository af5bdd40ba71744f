"""The reference Darknet (Debian's package `darknet`) in a process of its own."""

from .library import DarknetLibrary, find_library
from .process import DarknetError, ReferenceDarknet

__all__ = ["DarknetError", "DarknetLibrary", "ReferenceDarknet", "find_library"]
