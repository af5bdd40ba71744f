"""Finding and opening oneDNN."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from typing import Any

from ...errors import DeviceError
from .._extension import MESSAGE_CAPACITY, extension_available, ffi, lib, text_of

DISTRIBUTION = "onednn-cpu-gomp"
ENVIRONMENT_VARIABLE = "PLUGRT_ONEDNN"
FILE_NAME = "libdnnl.so.3"

_SUCCESS = 0
_CPU = 1
_STATUS = {
    1: "out of memory",
    2: "invalid arguments",
    3: "not implemented",
    4: "no further implementation",
    5: "runtime error",
    6: "not required",
}


class UnsupportedPrimitiveError(DeviceError):
    """oneDNN has no implementation for what was asked."""


class Library:
    """An open oneDNN and its CPU engine, shared by the whole process."""

    def __init__(self, api: Any, path: str) -> None:
        self.api = api
        self.path = path
        version = api.version()
        self.version = (int(version.major), int(version.minor), int(version.patch))
        # Its own cache takes descriptions for equal that differ in the strides of axes of size 1,
        # so what it offers would depend on what ran before. Ours tells them apart.
        self.check(api.set_primitive_cache_capacity(0), "a primitive cache of size 0")
        engine = ffi.new("onednn_engine *")
        self.check(api.engine_create(engine, _CPU, 0), "engine")
        # Primitives may be released as late as interpreter exit, so the engine never is.
        self.engine = engine[0]
        self._tags: dict[str, int] | None = None

    @staticmethod
    def check(status: int, what: str) -> None:
        """Raise for a oneDNN status that is not success, naming `what` was attempted.

        UnsupportedPrimitiveError when there is no implementation or the arguments do not fit,
        else DeviceError.
        """
        if status == _SUCCESS:
            return
        reason = _STATUS.get(status, f"status {status}")
        error = UnsupportedPrimitiveError if status in (2, 3, 4) else DeviceError
        raise error(f"oneDNN refuses {what}: {reason}")

    def format_tag(self, name: str) -> int:
        """The number of a format tag such as "acdb", "aBcd16b" or "any".

        Raises DeviceError for a name that this version of oneDNN does not know.
        """
        if self._tags is None:
            self._tags = dict(self._format_tags())
        try:
            return self._tags[name]
        except KeyError:
            raise DeviceError(f"oneDNN {self.version} has no format tag {name!r}") from None

    def _format_tags(self) -> Iterator[tuple[str, int]]:
        number = 1  # 0 is "undef"
        while True:
            name = text_of(self.api.fmt_tag2str(number))
            if name.startswith("unknown") or name == "format_tag_last":
                return
            yield name, number
            number += 1


def available() -> bool:
    """True when oneDNN can be used."""
    return isinstance(_load(), Library)


def unavailable_reason() -> str | None:
    """Why oneDNN cannot be used, in one line; None when it can."""
    found = _load()
    return None if isinstance(found, Library) else found


def library() -> Library:
    """The open library. Raises DeviceError with the reason when there is none."""
    found = _load()
    if isinstance(found, Library):
        return found
    raise DeviceError(found)


@cache
def _load() -> Library | str:
    if not extension_available():
        return "oneDNN needs the compiled part of plugrt.plugins.native, which is missing"
    reasons = []
    for path in _candidates():
        api: Any = ffi.new("onednn_api *")
        message = ffi.new("char[]", MESSAGE_CAPACITY)
        if lib.plugrt_onednn_load(api, os.fsencode(path), message, MESSAGE_CAPACITY):
            reasons.append(text_of(message))
            continue
        version = api.version()
        if (version.major, version.minor >= 2) != (3, True):
            reasons.append(f"{path} is version {version.major}.{version.minor}, not 3.2 or newer")
            continue
        return Library(api, path)
    return (
        f"oneDNN cannot be opened ({'; '.join(reasons)}); install {DISTRIBUTION}, or name a "
        f"{FILE_NAME} in {ENVIRONMENT_VARIABLE}"
    )


def _candidates() -> list[str]:
    """Paths to try in order. A path in the environment is binding: nothing else is tried."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return [named]
    found = []
    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == FILE_NAME:
            found.append(str(file.locate()))
    return [*found, FILE_NAME]
