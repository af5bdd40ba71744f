"""What plugrt-yolo prints on terminals and in pipes, and how it ends."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from yolo_example.cli import main

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


COLOR = re.compile(r"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;)[0-9;]*m")


def on_a_terminal(*arguments: object, **environment: str) -> tuple[int, str]:
    """Exit status and screen of plugrt-yolo where stdout and stderr are a terminal."""
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "yolo_example.cli", *map(str, arguments)]
    variables = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **environment}
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child, env={**inherited, **variables}
    ) as process:
        os.close(child)
        parts = []
        while True:
            try:
                part = os.read(parent, 1 << 16)
            except OSError:  # Linux's way to say that the last one has closed it
                break
            if not part:
                break
            parts.append(part)
        status = process.wait(60)
    os.close(parent)
    return status, b"".join(parts).decode()


def test_a_terminal_gets_tables_and_a_bar(plan: Path, tree: Path) -> None:
    status, screen = on_a_terminal("detect", plan, tree / "a.JPG", tree / "b.png")
    assert status == 0
    assert re.search(r"object +score +left +top +right +bottom", ESCAPE.sub("", screen))
    assert "2/2" in screen
    assert COLOR.search(screen)


def test_no_color_is_respected(plan: Path, tree: Path) -> None:
    status, screen = on_a_terminal("detect", plan, tree, "--threshold", "0.3", NO_COLOR="1")
    assert status == 0
    assert "score" in screen
    assert not COLOR.search(screen)


def test_many_pictures_get_a_line_each(plan: Path, tree: Path) -> None:
    status, screen = on_a_terminal("detect", plan, tree, tree, "--threshold", "0.3")
    assert status == 0
    assert "left" not in screen
    assert len(re.findall(r"c\.bmp.*\d+ .*cat", ESCAPE.sub("", screen))) == 2


def test_a_pipe_gets_nothing_but_text(plan: Path, tree: Path) -> None:
    command = [sys.executable, "-m", "yolo_example.cli", "detect", str(plan), str(tree)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\x1b" not in run.stdout + run.stderr
    assert all(line.startswith(str(tree)) for line in run.stdout.splitlines())
    assert len(run.stderr.splitlines()) == 1


def test_a_full_disk_is_told(plan: Path, picture: Path) -> None:
    command = [sys.executable, "-m", "yolo_example.cli", "detect", str(plan), str(picture)]
    with open("/dev/full", "w") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert "No space left" in run.stderr


def test_an_interruption(
    plan: Path,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("yolo_example.detection.Detector.detect_many", interrupted)
    assert main(["detect", str(plan), str(picture)]) == 130
    assert capsys.readouterr().err == "plugrt-yolo: interrupted\n"
