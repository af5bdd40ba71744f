"""What an engine remembers about its build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Any

from ...plugins import API_VERSION, PlanError
from .dims_codec import MAXIMUM_SIZE
from .plain import integer, items, members, record, refuse, row, text

MAXIMUM_THREADS = 65536


@cache
def installed_version() -> str:
    """The version of the installed plugrt; `unknown` when it runs uninstalled."""
    try:
        return metadata.version("plugrt")
    except metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True)
class EngineInfo:
    """Facts of the build. `fingerprint` is the device's; `profiles` gives (least, best,
    largest) value of every input symbol whose range is enforced; `metadata` is the network's."""

    fingerprint: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    precision: str = "fp32"
    profiles: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    api_version: int = API_VERSION
    plugrt_version: str = field(default_factory=installed_version)
    notes: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The device that it was built for, without a number."""
        return self.fingerprint.get("device", "cpu")


def encode_info(info: EngineInfo) -> dict[str, Any]:
    """The information as plain values."""
    return {
        "fingerprint": {str(k): str(v) for k, v in info.fingerprint.items()},
        "threads": info.threads,
        "precision": info.precision,
        "profiles": {name: list(sizes) for name, sizes in info.profiles.items()},
        "api_version": info.api_version,
        "plugrt_version": info.plugrt_version,
        "notes": list(info.notes),
        "metadata": dict(info.metadata),
    }


def decode_info(plain: Any) -> EngineInfo:
    """Inverse of `encode_info`. Raises PlanError naming the field."""
    fingerprint, threads, precision, profiles, api, version, notes, metadata = record(
        plain, "info", "fingerprint", "threads", "precision", "profiles", "api_version",
        "plugrt_version", "notes", "metadata",
    )  # fmt: skip
    if integer(api, "info.api_version", 1) > API_VERSION:
        raise PlanError(
            f"the plan was built for plug-in API {api} by plugrt {text(version, 'info')!r}, newer "
            f"than the installed API {API_VERSION}; install a newer plugrt"
        )
    return EngineInfo(
        fingerprint=_texts(fingerprint, "info.fingerprint"),
        threads=integer(threads, "info.threads", 1, MAXIMUM_THREADS),
        precision=text(precision, "info.precision"),
        profiles={
            name: _profile(sizes, f"info.profiles[{name!r}]")
            for name, sizes in members(profiles, "info.profiles").items()
        },
        api_version=api,
        plugrt_version=text(version, "info.plugrt_version"),
        notes=tuple(items(notes, "info.notes", text)),
        metadata=_texts(metadata, "info.metadata"),
    )


def _texts(value: Any, what: str) -> dict[str, str]:
    return {
        key: text(content, f"{what}[{key!r}]") for key, content in members(value, what).items()
    }


def _profile(value: Any, what: str) -> tuple[int, int, int]:
    least, best, largest = (
        integer(size, what, 0, MAXIMUM_SIZE) for size in row(value, what, 3)
    )
    if not least <= best <= largest:
        refuse(what, value, "least <= best <= largest")
    return least, best, largest
