"""Measured times of tactics: readable, mergeable, and never trusted beyond their device."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from ..atomic_file import write_atomically

FORMAT = 1


class TimingCache:
    """Seconds by key, for one device fingerprint.

    A file that is damaged, foreign or of another format counts as empty: a cache can make a
    build slower, never wrong.
    """

    def __init__(self, fingerprint: Mapping[str, str]) -> None:
        self.fingerprint = dict(fingerprint)
        self.seconds: dict[str, float] = {}

    @classmethod
    def load(cls, path: Path, fingerprint: Mapping[str, str]) -> TimingCache:
        """Read a cache file; see the class for what happens to unusable ones."""
        cache = cls(fingerprint)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["format"] == FORMAT and data["device"] == cache.fingerprint:
                cache.seconds = {
                    str(key): float(value) for key, value in data["seconds"].items()
                    if 0 < float(value) < math.inf
                }  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass  # re-timing is always possible
        return cache

    def merge(self, other: TimingCache) -> None:
        """Add another cache's times for the same device; where both know one, ours stays."""
        if other.fingerprint == self.fingerprint:
            self.seconds = {**other.seconds, **self.seconds}

    def save(self, path: Path) -> None:
        """Write the file beside its place and rename it, making its folder if need be."""
        data = {"format": FORMAT, "device": self.fingerprint, "seconds": self.seconds}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(data, indent=1, sort_keys=True).encode())
