"""Compiled code that an engine has brought along, for that engine alone.

A plan that is trusted carries machine code by the keys of the disk cache. Neither key nor checksum
tells who made it, so it must not decide what other engines of the process run: it is found only
while its own engine records. Whatever keeps what was made of it, keeps that by `LentCode.digest`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256


@dataclass(frozen=True)
class LentCode:
    """What an engine has brought under a key."""

    payload: bytes

    @cached_property
    def digest(self) -> str:
        """Equal for equal code: plans that are loaded again share what was made of it."""
        return sha256(self.payload).hexdigest()


class Loan:
    """What one engine has brought. Code from it runs as it is: lend only what comes from where
    programs might come from."""

    def __init__(self) -> None:
        self._entries: dict[str, LentCode] = {}

    def add(self, entries: Mapping[str, bytes]) -> None:
        """Lend these too."""
        self._entries.update({key: LentCode(payload) for key, payload in entries.items()})

    def get(self, key: str) -> LentCode | None:
        """What is lent under a key."""
        return self._entries.get(key)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is lent."""
        return not self._entries

    def end(self) -> None:
        """Take everything back; what was made of it stays with whoever has it."""
        self._entries.clear()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let this thread, and what copies its `contextvars`, find what is lent."""
        before = _in_use.set(self)
        try:
            yield
        finally:
            _in_use.reset(before)


_in_use: ContextVar[Loan | None] = ContextVar("loan", default=None)


def is_anything_lent() -> bool:
    """Whether the engine that records at present has brought code."""
    loan = _in_use.get()
    return loan is not None and not loan.is_empty


def lent(key: str) -> LentCode | None:
    """What the engine that records at present has brought under a key (hexadecimal)."""
    loan = _in_use.get()
    return None if loan is None else loan.get(key)
