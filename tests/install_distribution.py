"""Installs a distribution of this repository by pip, offline, leaving its sources as they are.

python tests/install_distribution.py SOURCE --target FOLDER       (for PYTHONPATH or sys.path)
python tests/install_distribution.py SOURCE --python INTERPRETER  (into its environment)

What the distribution depends on, and what it needs to be built, must be installed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def install(source: Path, *, target: Path | None = None, python: Path | None = None) -> None:
    """Run pip on a copy of `source`. Raises SystemExit with pip's output when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(
            source, Path(folder, source.name),
            ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__", "*.so", "*.o"),
        )  # fmt: skip
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        if python is not None:
            command += ["--python", str(python)]
        command += ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        if target is not None:
            command += ["--target", str(target), "--upgrade"]
        # A target may lie on PYTHONPATH: pip must not take its content for installed.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        result = subprocess.run(
            [*command, str(copy)], capture_output=True, text=True, env=environment, check=False
        )
    if result.returncode:
        raise SystemExit(f"pip cannot install {source}:\n{result.stdout}{result.stderr}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--target", type=Path)
    place.add_argument("--python", type=Path)
    arguments = parser.parse_args()
    install(arguments.source, target=arguments.target, python=arguments.python)


if __name__ == "__main__":
    main()
