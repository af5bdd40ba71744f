"""What `make demo` and the check for tools say where something is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def demo(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `make demo` with these variables alone."""
    dropped = ("PLUGRT_DATA", "CFG", "WEIGHTS", "NAMES", "IMAGE", "MAKEFLAGS", "MAKELEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    command = ["make", "-C", ROOT, "--no-print-directory", "demo", *flags]
    command += [f"{name}={value}" for name, value in variables.items()]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_demo_needs_nothing() -> None:
    run = demo("--dry-run")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1].endswith("plugrt-yolo demo -o build/demo")


def test_demo_does_without_the_folder_of_models() -> None:
    assert demo("--dry-run", PLUGRT_DATA="data").stdout == demo("--dry-run").stdout


@pytest.mark.parametrize("given", ["CFG", "WEIGHTS", "NAMES"])
def test_demo_with_half_a_model_asks_for_the_rest(given: str, tmp_path: Path) -> None:
    run = demo(**{given: str(tmp_path / "some.file")})
    assert run.returncode == 2
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert "give CFG=, WEIGHTS= and IMAGE=" in line


def test_demo_names_an_absent_file(tmp_path: Path) -> None:
    absent = tmp_path / "picture.jpg"
    run = demo(IMAGE=str(absent))
    assert run.returncode == 2
    assert run.stderr.splitlines()[0] == f"demo: cannot read {absent}"


def test_demo_takes_a_picture_for_its_own_model() -> None:
    run = demo("--dry-run", IMAGE="a picture.png")
    own = "yolo_example/model/street"
    assert f"plugrt build '{own}.cfg' '{own}.weights' --names '{own}.names' -o" in run.stdout
    assert "plugrt-yolo detect build/demo/model.plan 'a picture.png'" in run.stdout


def test_demo_takes_another_model() -> None:
    run = demo("--dry-run", CFG="my model.cfg", WEIGHTS="some.weights", IMAGE="a picture.png")
    assert run.returncode == 0
    assert "plugrt build 'my model.cfg' 'some.weights' -o" in run.stdout
    assert ".names" not in run.stdout
    run = demo("--dry-run", CFG="a.cfg", WEIGHTS="a.weights", NAMES="a.names", IMAGE="a.png")
    assert "--names 'a.names'" in run.stdout


def check_tools(python: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", ROOT / ".ci/check-tools", python],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_tools_present() -> None:
    run = check_tools(sys.executable, os.environ["PATH"])
    assert (run.returncode, run.stderr) == (0, "")


def test_each_missing_tool_has_its_line(tmp_path: Path) -> None:
    run = check_tools("python3", str(tmp_path))
    assert run.returncode == 2
    assert [line.split()[:2] for line in run.stderr.splitlines()] == [
        ["missing:", "python3"],
        ["missing:", "make"],
        ["missing:", "gcc"],
    ]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [("3.9", "Python 3.10 or newer"), ("bare", "the headers of")],
)
def test_unfit_python_is_named(tmp_path: Path, answer: str, complaint: str) -> None:
    """An interpreter that is too old, and one installed without its headers."""
    python = tmp_path / "python"
    refused = {"3.9": "version_info", "bare": "ensurepip"}[answer]
    python.write_text(
        f'#!/bin/sh\ncase "$2" in *{refused}*) exit 1;; *get_path*) echo {tmp_path};; esac\n'
    )
    python.chmod(0o755)
    run = check_tools(str(python), os.environ["PATH"])
    assert run.returncode == 2
    assert complaint in run.stderr
    assert ("venv and ensurepip" in run.stderr) == (answer == "bare")
