"""Spinning of idle threads: set while libgomp is loaded, and nobody else sees it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from plugrt.plugins.native.openmp import SPIN_COUNT, short_spinning

SPIN, POLICY = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"


@pytest.fixture(autouse=True)
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SPIN, raising=False)
    monkeypatch.delenv(POLICY, raising=False)


def test_it_is_short_while_the_library_is_loaded() -> None:
    with short_spinning():
        assert os.environ[SPIN] == SPIN_COUNT
    assert SPIN not in os.environ


@pytest.mark.parametrize(("name", "value"), [(SPIN, "7"), (POLICY, "passive")])
def test_what_the_user_decides_stays(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with short_spinning():
        assert dict(os.environ) == before
    assert dict(os.environ) == before


def test_libgomp_takes_it_and_children_do_not_inherit_it() -> None:
    """libgomp prints its settings when it is loaded, if asked to."""
    found = subprocess.run(
        [sys.executable, "-c", "import os, plugrt.plugins.native; print(os.environ.keys())"],
        env={**os.environ, "OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert f"{SPIN} = '{SPIN_COUNT}'" in found.stderr
    assert SPIN not in found.stdout
