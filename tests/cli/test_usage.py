"""The command line as a whole: statuses, one-line errors, streams that fail."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import plugrt
from plugrt import cli
from plugrt.commands import inspect
from plugrt.commands.outcome import one_line


def test_version(succeeds):
    assert succeeds("--version") == f"plugrt {plugrt.__version__}\n"


@pytest.mark.parametrize("command", ["build", "run", "inspect", "bench", "plugins", "doctor"])
def test_help_of_every_command(command, succeeds):
    assert f"usage: plugrt {command}" in succeeds(command, "--help")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "COMMAND"),
        (["fly"], "'fly'"),
        (["run", "x.plan"], "--output-dir"),
        (["inspect", "x.plan", "--jsn"], "unknown argument '--jsn'; see `plugrt inspect --help`"),
        (["inspect", "x.plan", "--js"], "unknown argument '--js'"),
        (["inspect", "x.plan", "y.plan"], "unknown argument 'y.plan'"),
        (["run", "x.plan", "--output-dir", "d", "--threads", "0"], "'0' is not possible"),
        (["run", "x.plan", "--output-dir", "d", "--threads", "9" * 5000], "is not possible"),
        (["build", "m", "-o", "p", "--precision", "fp7"], "'fp7'"),
    ],
)
def test_wrong_usage_is_one_line(words, message, refused):
    assert message in refused(*words)


def test_missing_and_unusable_plans(refused, tmp_path):
    missing = tmp_path / "missing.plan"
    assert str(missing) in refused("inspect", missing)
    assert str(missing) in refused("inspect", "--requires", missing)
    assert str(tmp_path) in refused("inspect", tmp_path)
    empty = tmp_path / "empty.plan"
    empty.touch()
    assert "empty" in refused("inspect", empty)
    assert "empty" in refused("inspect", empty, "--requires")
    text = tmp_path / "text.plan"
    text.write_text("no plan\n" * 100)
    for options in ([], ["--requires"], ["--json"]):
        assert "not a plan" in refused("inspect", text, *options)


def test_messages_keep_to_one_line_of_plain_text():
    assert one_line("a\n\n  b\tc") == "a b c"
    assert one_line("red \x1b[31m \x07") == "red \\x1b[31m \\x07"
    assert one_line("größe ü") == "größe ü"


def test_line_breaks_in_a_file_name(refused, tmp_path):
    assert "no\nsuch".replace("\n", " ") in refused("inspect", tmp_path / "no\nsuch.plan")


def test_memory_that_is_not_there(refused, monkeypatch):
    def exhausted(arguments):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(inspect, "run", exhausted)
    assert refused("inspect", "x.plan") == "not enough memory: Unable to allocate 9 TiB"


def test_interruption(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect, "run", interrupted)
    assert cli.main(["inspect", "x.plan"]) == 130
    assert capsys.readouterr().err == "plugrt: interrupted\n"


def test_a_defect_is_not_disguised_as_a_user_error(monkeypatch):
    def defective(arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(inspect, "run", defective)
    with pytest.raises(ZeroDivisionError):
        cli.main(["inspect", "x.plan"])


def test_warnings_are_lines_of_ours(monkeypatch, capsys):
    def warned(arguments):
        warnings.warn("slow\nkernels", stacklevel=1)
        return 0

    monkeypatch.setattr(inspect, "run", warned)
    assert cli.main(["inspect", "x.plan"]) == 0
    assert capsys.readouterr().err == "plugrt: warning: slow kernels\n"


def plugrt_process(*words: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plugrt", *map(str, words)]
    return subprocess.run(
        command, stderr=subprocess.PIPE, text=True, timeout=60, check=False, **options
    )


def test_a_real_process(small_plan, tmp_path):
    done = plugrt_process("inspect", small_plan, stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Convolution" in done.stdout
    failed = plugrt_process("inspect", tmp_path / "missing.plan", stdout=subprocess.PIPE)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("plugrt: error: ")
    assert failed.stderr.count("\n") == 1


def test_the_reader_of_a_pipe_goes_away(small_plan):
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = plugrt_process("inspect", small_plan, stdout=write_end)
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout(small_plan):
    with open("/dev/full", "w") as full:
        done = plugrt_process("inspect", small_plan, stdout=full)
    assert done.returncode == 2
    assert done.stderr == "plugrt: error: No space left on device\n"


def test_names_that_the_terminal_cannot_show(small_plan):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = plugrt_process("inspect", small_plan, stdout=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"gate/\xfc" in done.stdout
