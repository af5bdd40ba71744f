"""Typed access to one section's options, keeping account of what was read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from math import isfinite

from plugrt.plugins import ModelError

from .cfg_reader import Section

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
LARGEST = (1 << 31) - 1
"""Darknet counts in 32-bit integers."""


class OptionReader:
    """The options of one section by name and type.

    Every getter raises ModelError naming file, line, section, the value and what is allowed.
    """

    def __init__(self, section: Section) -> None:
        self.section = section
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.section.options

    def text(self, name: str, default: str = "") -> str:
        """The value as it stands there."""
        self._read.add(name)
        option = self.section.options.get(name)
        return default if option is None else option.value

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = LARGEST) -> int:
        """A whole number in [minimum, maximum]."""
        text = self.text(name)
        if not text:
            return default
        return self._integer(name, text, minimum, maximum)

    def required_integer(self, name: str, *, minimum: int = 0) -> int:
        """A whole number that has no default."""
        self._require(name)
        return self.integer(name, 0, minimum=minimum)

    def flag(self, name: str) -> bool:
        """True for any number but 0."""
        return self.integer(name, 0, minimum=-LARGEST) != 0

    def number(self, name: str, default: float) -> float:
        """A finite number."""
        text = self.text(name)
        return self._number(name, text) if text else default

    def integers(self, name: str) -> tuple[int, ...]:
        """Whole numbers separated by commas; none where the option is absent."""
        return tuple(self._integer(name, item, -LARGEST, LARGEST) for item in self._items(name))

    def required_integers(self, name: str) -> tuple[int, ...]:
        """Whole numbers separated by commas, at least one."""
        self._require(name)
        return self.integers(name)

    def numbers(self, name: str) -> tuple[float, ...]:
        """Finite numbers separated by commas; none where the option is absent."""
        return tuple(self._number(name, item) for item in self._items(name))

    def refuse(self, unsupported: Mapping[str, tuple[float, str]]) -> None:
        """Raise ModelError for an option here that differs from the value that changes nothing;
        each comes with that value, and with the reason for the message."""
        for name, (neutral, reason) in unsupported.items():
            if name in self and self.number(name, neutral) != neutral:
                raise self.error(name, f"{name}={self.text(name)} is not supported: {reason}")

    def unread(self, ignored: Collection[str]) -> list[str]:
        """Notes on options that nobody read and that are not in `ignored`, and on repeated ones."""
        section = self.section
        notes = [
            f"{section.path}:{option.line}: [{section.name}] option {name!r} is not known; ignored"
            for name, option in section.options.items()
            if name not in self._read and name not in ignored
        ]
        notes += [
            f"{section.path}:{line}: [{section.name}] option {name!r} is given again; "
            "the first one counts"
            for name, line in section.repeated
            if name not in ignored
        ]
        return notes

    def error(self, name: str, text: str) -> ModelError:
        """An error at the line of option `name`, or of the section where it is absent."""
        option = self.section.options.get(name)
        return self.section.error(text, option.line if option else None)

    def _require(self, name: str) -> None:
        if name not in self:
            raise self.section.error(f"option {name!r} is missing; add a line {name}=...")

    def _items(self, name: str) -> list[str]:
        items = self.text(name).split(",")
        if items[-1] == "":  # nothing at all, or a comma at the end of a continued list
            items.pop()
        return items

    def _integer(self, name: str, text: str, minimum: int, maximum: int) -> int:
        if not WHOLE_NUMBER.fullmatch(text):
            raise self.error(name, f"{name}={text!r} is not a whole number")
        value = int(text)
        if not minimum <= value <= maximum:
            raise self.error(name, f"{name}={value} is out of range; write {minimum} to {maximum}")
        return value

    def _number(self, name: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not isfinite(value):
            raise self.error(name, f"{name}={text!r} is not a finite number")
        return value
