"""Measured times of tactics: readable, mergeable, and never trusted beyond their device.

The file is JSON, sorted, one line per time, with the times of any number of devices.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...plugins import PlugrtError
from ..atomic_file import write_atomically

FORMAT = 2
"""Raised when times of the former version mean something else. 1: weights were in the caches."""

Tell = Callable[[str], None]


class TimingCache:
    """Seconds by key, for one device; times of other devices are kept and passed on.

    `fingerprint` says which device, by default this machine's processor. A file that is
    damaged, foreign or of an older format counts as empty: a cache can make a build slower,
    never wrong. May be given to several builds, one after the other.
    """

    def __init__(self, fingerprint: Mapping[str, str] | None = None) -> None:
        if fingerprint is None:
            from ..devices.cpu import CpuDevice

            fingerprint = CpuDevice().fingerprint()
        self.fingerprint = dict(fingerprint)
        self.seconds: dict[str, float] = {}
        self._others: dict[str, dict[str, float]] = {}
        """Times of further devices, by fingerprint as JSON."""

    @classmethod
    def load(
        cls, path: Path, fingerprint: Mapping[str, str] | None = None,
        tell: Tell = lambda line: None,
    ) -> TimingCache:
        """Read a cache file; an absent one is empty. What is wrong with one goes to `tell`."""
        cache = cls(fingerprint)
        times = _read(path, tell)
        cache.seconds = times.pop(_identity(cache.fingerprint), {})
        cache._others = times
        return cache

    def for_device(self, fingerprint: Mapping[str, str]) -> TimingCache:
        """This cache, now with the times of another device in use."""
        if dict(fingerprint) != self.fingerprint:
            times = self._times()
            self.fingerprint = dict(fingerprint)
            self.seconds = times.pop(_identity(self.fingerprint), {})
            self._others = times
        return self

    @property
    def devices(self) -> list[tuple[dict[str, str], int]]:
        """(fingerprint, number of times) of every device with times."""
        return [(json.loads(name), len(times)) for name, times in sorted(self._times().items())]

    def merge(self, other: TimingCache) -> None:
        """Add another cache's times; where both know one of the same device, ours stays."""
        merged = _merged(self._times(), other._times())
        self.seconds = merged.pop(_identity(self.fingerprint), {})
        self._others = merged

    def save(self, path: Path, tell: Tell = lambda line: None) -> None:
        """Add the times to a file, making it and its folder if need be.

        What the file has by then stays, so that builds running at the same time lose nothing
        to each other; readers see the old file or the new one. Raises OSError, and PlugrtError
        for a file that a newer plugrt wrote.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            if _format_of(path) > FORMAT:
                raise PlugrtError(
                    f"timing cache {path} was written by a newer plugrt and is left as it is; "
                    "give another file"
                )
            write_atomically(path, _text(_merged(_read(path, tell), self._times())).encode())

    def _times(self) -> dict[str, dict[str, float]]:
        own = {_identity(self.fingerprint): self.seconds} if self.seconds else {}
        return {**self._others, **own}


def _identity(fingerprint: Mapping[str, str]) -> str:
    return json.dumps(dict(fingerprint), sort_keys=True)


def _merged(
    first: Mapping[str, dict[str, float]], second: Mapping[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """All times; those of `first` where both have one."""
    names = sorted({*first, *second})
    return {name: {**second.get(name, {}), **first.get(name, {})} for name in names}


def _text(times: Mapping[str, dict[str, float]]) -> str:
    devices = [
        {"fingerprint": json.loads(name), "seconds": dict(seconds)}
        for name, seconds in sorted(times.items())
    ]
    data = {"format": FORMAT, "devices": devices}
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def _read(path: Path, tell: Tell) -> dict[str, dict[str, float]]:
    """Times by device; whatever cannot be understood is left out and told."""
    try:
        data = _parsed(path)
        if data["format"] != FORMAT:
            tell(
                f"timing cache {path} has format {data['format']!r}, not {FORMAT}: its times are "
                "measured again"
            )
            return {}
        found: dict[str, dict[str, float]] = {}
        for device in data["devices"]:
            name = _identity({str(k): str(v) for k, v in device["fingerprint"].items()})
            times = {str(key): value for key, value in device["seconds"].items()}
            found[name] = {**found.get(name, {}), **_possible(times)}
            if len(_possible(times)) < len(times):
                tell(f"timing cache {path} has impossible times; they are measured again")
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        tell(
            f"timing cache {path} cannot be used ({reason}); times are measured again, and the "
            "file is replaced"
        )
        return {}


def _possible(times: Mapping[str, Any]) -> dict[str, float]:
    return {
        key: float(value) for key, value in times.items()
        if isinstance(value, (int, float)) and 0 < value < math.inf
    }  # fmt: skip


def _parsed(path: Path) -> Any:
    """The file's content; no devices where there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    return json.loads(content) if content else {"format": FORMAT, "devices": []}


def _format_of(path: Path) -> float:
    try:
        return float(_parsed(path)["format"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0.0


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone among those who save into a folder, where its file system has locks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # gives the lock back
