"""Explicit, undoable decisions about names: denials, substitutions and preferences."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType


class Restriction:
    """What `Registry.deny`, `substitute` and `prefer` return.

    The decision holds until `undo()`, the end of a `with` block, or `Registry.reset()`.
    """

    def __init__(self, description: str, undo: Callable[[], None]) -> None:
        self.description = description
        self._undo: Callable[[], None] | None = undo

    def undo(self) -> None:
        """Take the decision back; a second call does nothing."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def __enter__(self) -> Restriction:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.undo()

    def __repr__(self) -> str:
        return f"<{self.description}>"


class DecisionTable:
    """Decisions by key, the newest in force. Thread-safe.

    Each entry is undone by itself, so that decisions may be taken back in any order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stacks: dict[tuple[str, str], list[tuple[object, str]]] = {}

    def add(self, key: tuple[str, str], value: str, description: str) -> Restriction:
        """Record a decision; the result takes it back."""
        token = object()
        with self._lock:
            self._stacks.setdefault(key, []).append((token, value))

        def undo() -> None:
            with self._lock:
                rest = [item for item in self._stacks.get(key, []) if item[0] is not token]
                if rest:
                    self._stacks[key] = rest
                else:
                    self._stacks.pop(key, None)

        return Restriction(description, undo)

    def get(self, key: tuple[str, str]) -> str | None:
        """The decision in force, or None."""
        with self._lock:
            stack = self._stacks.get(key)
            return stack[-1][1] if stack else None

    def items(self) -> dict[tuple[str, str], str]:
        """All decisions in force."""
        with self._lock:
            return {key: stack[-1][1] for key, stack in self._stacks.items()}

    def clear(self) -> None:
        """Forget all decisions."""
        with self._lock:
            self._stacks.clear()
