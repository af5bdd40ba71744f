"""Our C, compiled for ThreadSanitizer and with threads that it can follow."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

SANITIZE = "-fsanitize=thread -g -fno-omit-frame-pointer"
FAILED = 66
"""The exit status of a process in which something was found."""

OPTIONS = f"suppressions={HERE / 'suppressions.txt'}:exitcode={FAILED}:history_size=4"


def compiler() -> str:
    """The C compiler, as distutils finds it."""
    return os.environ.get("CC", "gcc").split()[0]


def sanitizer_library() -> Path | None:
    """The run-time library of the compiler's ThreadSanitizer; None where it has none."""
    try:
        found = subprocess.run(
            [compiler(), "-print-file-name=libtsan.so"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return Path(found).resolve() if os.path.isabs(found) else None


def build_team(folder: Path) -> Path:
    """The object that takes libgomp's place inside an extension; nothing outside sees it."""
    made = folder / "pthread_team.o"
    compile_c(["-c", "-fPIC", "-fvisibility=hidden", str(HERE / "pthread_team.c"), "-o", str(made)])
    return made


def compile_c(arguments: Sequence[str]) -> None:
    """Compile or link for the sanitizer."""
    subprocess.run([compiler(), "-O1", *SANITIZE.split(), *arguments], check=True)


def build_packages(folder: Path) -> list[Path]:
    """plugrt and yolo_example with instrumented extensions; the folders to import them from."""
    team = build_team(folder)
    environment = {**os.environ, "CFLAGS": SANITIZE, "LDFLAGS": f"{team} {SANITIZE}"}
    found = []
    for source in (ROOT, ROOT / "yolo_example"):
        target = folder / source.name
        subprocess.run(
            [
                sys.executable, "setup.py", "-q", "build", "--build-base", str(folder / "work"),
                "--build-lib", str(target),
            ],
            cwd=source, env=environment, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        found.append(target)
    return found


def run_instrumented(
    command: Sequence[str], library: Path, folders: Sequence[Path] = (), limit: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run Python under the sanitizer, with our packages from these folders."""
    environment: Mapping[str, str] = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "TSAN_OPTIONS": OPTIONS,
        "PYTHONPATH": os.pathsep.join(map(str, [*folders, ROOT])),
    }
    # Where addresses are drawn from too many bits, the sanitizer finds no room for its shadow.
    return subprocess.run(
        ["setarch", "-R", sys.executable, *command], env=environment, capture_output=True,
        text=True, timeout=limit, check=False, cwd=ROOT,
    )  # fmt: skip
