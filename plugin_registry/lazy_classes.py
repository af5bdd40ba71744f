"""A view of one kind of plug-ins as a mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

Class = TypeVar("Class")


class LazyClasses(Mapping[str, Class]):
    """Name -> class. Listing imports nothing; looking one up does.

    An unknown name raises PluginError with the closest ones, not KeyError.
    """

    def __init__(self, names: Callable[[], list[str]], load: Callable[[str], Class]) -> None:
        self._names = names
        self._load = load

    def __getitem__(self, name: str) -> Class:
        return self._load(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())
