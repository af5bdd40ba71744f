"""A small labelled dataset."""

from pathlib import Path

import pytest

from tests.yolo.evaluation.support import write_dataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "set", ["0 .5 .5 .2 .4\n1 .25 .5 .5 1\n", "", "2 .5 .5 1 1"])
