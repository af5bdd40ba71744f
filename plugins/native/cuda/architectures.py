"""Names of GPU architectures."""

from __future__ import annotations

import re

from ...errors import DeviceError

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
"""What a kernel without a list of its own must compile for."""

_PATTERN = re.compile(r"(?:sm_|compute_)?(\d+)([af]?)")


def architecture_name(value: str | int | tuple[int, int]) -> str:
    """Such as "sm_90a", from "sm_90a", "90a", 90 or (9, 0). Raises DeviceError."""
    text = "".join(map(str, value)) if isinstance(value, tuple) else str(value)
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise DeviceError(f"{value!r} is no architecture; use one like 'sm_90' or 'sm_90a'")
    return f"sm_{match[1]}{match[2]}"


def number_of(architecture: str) -> int:
    """90 for "sm_90" and "sm_90a"."""
    return int(architecture.removeprefix("sm_").rstrip("af"))


def suits(architecture: str, device: str) -> bool:
    """Whether code for an architecture runs on a device: the same one, its special features
    ("sm_90a") included, or an earlier one of the same generation (sm_80 on an sm_86)."""
    wanted, present = number_of(architecture), number_of(device)
    if architecture[-1] in "af":
        return wanted == present
    return wanted // 10 == present // 10 and wanted <= present


def best_for(offered: tuple[str, ...], device: str) -> str | None:
    """The one of `offered` to compile for a device: the newest, special features first."""
    usable = [name for name in offered if suits(name, device)]
    return max(usable, key=lambda name: (number_of(name), name[-1] in "af"), default=None)
