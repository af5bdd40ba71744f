"""Builds the wheel of a distribution of this repository, offline, and prints its path.

    python tests/build_wheel.py SOURCE FOLDER

The sources stay as they are. What the build needs must be installed.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
OFFLINE = ["--quiet", "--no-index", "--no-deps"]
BUILDS = ("build", "*.egg-info", "__pycache__", "*.so", "*.o")


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel, made by pip in `folder`. Raises SystemExit with pip's output when it fails."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary, source.name)
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns(*BUILDS))
        made = Path(temporary, "wheel")
        command = [*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", str(made)]
        result = subprocess.run([*command, str(copy)], capture_output=True, text=True, check=False)
        if result.returncode:
            raise SystemExit(f"no wheel of {source}:\n{result.stdout}{result.stderr}")
        (wheel,) = made.iterdir()
        return Path(shutil.copy(wheel, folder))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    print(build_wheel(arguments.source, arguments.folder))


if __name__ == "__main__":
    main()
