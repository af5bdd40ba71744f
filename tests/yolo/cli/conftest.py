"""A plan and pictures for the tests of plugrt-yolo."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.yolo.cli.support import save_plan


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return save_plan(tmp_path / "net.plan")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(4).integers(0, 256, (40, 60, 3), np.uint8)
    path = tmp_path / "noise.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def tree(picture: Path, tmp_path: Path) -> Path:
    """Pictures in folders, and what is none."""
    root = tmp_path / "tree"
    for name in ("b.png", "a.JPG", "sub/deep/c.bmp", ".hidden/d.png", ".e.png", "drawn/f.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with Image.open(picture) as image:
            image.save(root / name)
    (root / "notes.txt").write_text("none")
    return root
