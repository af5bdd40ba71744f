"""Finding libdarknet.so, and the declarations of the header that lies beside it."""

from __future__ import annotations

import ctypes.util
import os
import re
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "PLUGRT_DARKNET"
"""Names the library where it is not installed, or another one than the installed one."""

DEBIAN_PLACE = Path("/usr/lib/darknet/libdarknet.so")
"""Outside the linker's path, so that ctypes does not find it."""

CONDITION = re.compile(r"#\s*(ifdef|ifndef|endif)\b")
CALLBACK = re.compile(r"void\s*\(\*(\w+)\)\s*\([^)]*\);")
MISSING_TYPES = "typedef unsigned long pthread_t;\ntypedef long clock_t;\n"


@dataclass(frozen=True)
class DarknetLibrary:
    """The library and its header: structures differ between versions, so both are needed."""

    path: Path
    header: Path

    def declarations(self) -> str:
        """What cffi can read of the header: the types and functions of a build without GPU."""
        text = _without_directives(self.header.read_text(encoding="utf-8"))
        # cffi takes no structure whose callbacks receive that structure itself.
        return MISSING_TYPES + CALLBACK.sub(r"void *\1;", text)


def find_library() -> DarknetLibrary | str:
    """The library, or the reason why there is none."""
    named = os.environ.get(VARIABLE)
    place = named or ctypes.util.find_library("darknet") or str(DEBIAN_PLACE)
    path = Path(place)
    if not path.is_file():
        origin = f"{VARIABLE}={named} does not exist" if named else "libdarknet.so is not installed"
        return f"{origin} (Debian: darknet; or name the library in {VARIABLE})"
    for header in (path.parent / "include/darknet.h", path.parent / "darknet.h"):
        if header.is_file():
            return DarknetLibrary(path, header)
    return f"there is no darknet.h beside {path}"


def _without_directives(text: str) -> str:
    """`text` as if nothing were defined, its own guard included."""
    kept: list[str] = []
    conditions: list[bool] = []
    for line in text.splitlines():
        found = CONDITION.match(line.strip())
        if found is None:
            if all(conditions) and not line.lstrip().startswith("#"):
                kept.append(line)
        elif found[1] == "endif":
            conditions.pop()
        else:
            conditions.append(found[1] == "ifndef")
    return "\n".join(kept)
