"""Whether a kernel's layout has the parameters that its code reads: the driver does not look, and
reads on behind what it was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import PluginError
from .packages import driver


def check_parameters(handle: Any, given: Sequence[int], kernel: object) -> None:
    """Compare the bytes of each parameter. Raises PluginError where there are others than the
    kernel has, or smaller ones. Drivers before CUDA 12.4 cannot tell."""
    wanted = _sizes_of(handle)
    if wanted is None:
        return
    pairs = zip(given, wanted, strict=False)
    if len(given) != len(wanted) or any(mine < theirs for mine, theirs in pairs):
        raise PluginError(
            f"{kernel}: the layout has parameters of {_listed(given)} bytes, the function takes "
            f"{_listed(wanted)}; spell the layout as the parameters are (q is 8 bytes, and 3q one "
            "struct of three, not three parameters)"
        )


def _sizes_of(handle: Any) -> list[int] | None:
    """Bytes of the function's parameters; None where the driver has no way to tell."""
    ask = getattr(driver(), "cuFuncGetParamInfo", None)
    if ask is None:
        return None
    count = _count_of(handle)
    sizes: list[int] = []
    try:
        while count is None or len(sizes) < count:
            error, *found = ask(handle, len(sizes))
            if int(error):  # there are no more; tools such as memcheck list that as an API error
                break
            sizes.append(int(found[1]))
    except RuntimeError:  # the driver is older than the bindings
        return None
    return sizes


def _count_of(handle: Any) -> int | None:
    """How many parameters the function has; None where the driver does not count them."""
    ask = getattr(driver(), "cuFuncGetParamCount", None)
    if ask is None:
        return None
    try:
        error, *found = ask(handle)
    except RuntimeError:  # the driver is older than the bindings
        return None
    return None if int(error) else int(found[0])


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes)) or "no"
