"""Scenes: the same everywhere, and labelled with what they show."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plugrt.plugins import Array
from yolo_example.cli import main
from yolo_example.evaluation import read_dataset
from yolo_example.parsing.class_names import read_names
from yolo_example.scenes import CLASS_NAMES, HELD_OUT, TRAINING, LabelledBox, Scene, render_scene
from yolo_example.scenes.canvas import SCENERY, Canvas
from yolo_example.scenes.dataset import label_text, write_dataset
from yolo_example.scenes.painter import LEAST_BREADTH, LEAST_EXTENT, LEAST_VISIBLE, Painter
from yolo_example.scenes.randomness import Dice, grain, hashed
from yolo_example.scenes.street import Thing

ROOT = Path(__file__).parents[2]

COARSE = {
    (HELD_OUT, 0): [
        [113.0, 106.6, 130.8, 138.7], [107.7, 102.5, 107.5, 111.8],
        [97.6, 100.5, 107.2, 106.7], [73.6, 81.9, 104.4, 100.7],
    ],
    (HELD_OUT, 14): [
        [90.1, 110.6, 132.2, 108.6], [69.7, 91.0, 98.9, 105.5],
        [50.4, 86.9, 76.0, 96.4], [114.7, 111.5, 103.4, 110.7],
    ],
    (TRAINING, 7): [
        [172.5, 192.8, 194.8, 173.9], [154.1, 141.7, 164.2, 125.4],
        [114.5, 108.7, 109.3, 111.9], [98.4, 92.5, 90.3, 91.1],
    ],
}  # fmt: skip
"""Mean brightness of the sixteen parts of some scenes."""

OBJECTS = {(HELD_OUT, 0): 18, (HELD_OUT, 14): 16, (TRAINING, 7): 17}


def coarse(scene: Scene) -> Array:
    parts = scene.pixels.astype(float).reshape(4, 64, 4, 104, 3)
    return np.asarray(parts.mean(axis=(1, 3, 4)))


@pytest.mark.parametrize(("split", "seed"), COARSE)
def test_scenes_are_those_that_the_model_was_measured_on(split: str, seed: int) -> None:
    scene = render_scene(split, seed)
    assert np.abs(coarse(scene) - COARSE[split, seed]).max() < 0.5
    assert len(scene.boxes) == OBJECTS[split, seed]


def test_same_seed_same_picture_in_another_process() -> None:
    here = [render_scene(HELD_OUT, seed) for seed in (1, 2)]
    script = (
        "import sys; from yolo_example.scenes import render_scene\n"
        "for seed in (1, 2): sys.stdout.buffer.write(render_scene('held-out', seed).pixels)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert run.stdout == b"".join(scene.pixels.tobytes() for scene in here)


def test_splits_and_seeds_share_nothing() -> None:
    scenes = [render_scene(split, seed) for split in (HELD_OUT, TRAINING) for seed in range(4)]
    thumbnails = [coarse(scene) for scene in scenes]
    for k, first in enumerate(thumbnails):
        for second in thumbnails[k + 1 :]:
            assert np.abs(first - second).max() > 5


def test_a_larger_scene_shows_the_same() -> None:
    small, large = render_scene(HELD_OUT, 5), render_scene(HELD_OUT, 5, 832, 512)
    halved = large.pixels.reshape(256, 2, 416, 2, 3).mean(axis=(1, 3))
    # Single pixels differ by noise and by what is finer than a pixel.
    assert np.abs(halved - small.pixels).mean() < 8
    assert np.abs(coarse(small) - halved.reshape(4, 64, 4, 104, 3).mean(axis=(1, 3, 4))).max() < 3
    by_label = [sorted(b.label for b in scene.boxes) for scene in (small, large)]
    assert abs(len(by_label[0]) - len(by_label[1])) <= 2


@pytest.mark.parametrize("seeds", [range(12), range(50, 58)])
def test_labels_lie_in_the_picture_and_are_large_enough(seeds: range) -> None:
    for seed in seeds:
        scene = render_scene(HELD_OUT, seed)
        height, width, _ = scene.pixels.shape
        for box in scene.boxes:
            assert 0 <= box.left < box.right <= width
            assert 0 <= box.top < box.bottom <= height
            assert box.visible >= LEAST_VISIBLE
            sides = sorted((box.right - box.left, box.bottom - box.top))
            assert sides[0] >= LEAST_BREADTH
            assert sides[1] >= LEAST_EXTENT
            assert 0 <= box.label < len(CLASS_NAMES)


def test_every_class_appears() -> None:
    found = {box.label for seed in range(20) for box in render_scene(HELD_OUT, seed).boxes}
    assert found == set(range(len(CLASS_NAMES)))


RED, GREY = (1.0, 0.0, 0.0), (0.5, 0.5, 0.5)


def painted(*occluders: tuple[float, float, float, float]) -> tuple[Canvas, Sequence[LabelledBox]]:
    """A red square from 100 to 140 with grey boxes before it."""
    canvas = Canvas(416, 256)

    def draw(box: tuple[float, float, float, float], color: tuple[float, float, float]) -> None:
        left, top, right, bottom = box
        canvas.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], color)

    things = [Thing(9.0, 2, lambda: draw((100, 100, 140, 140), RED))]
    things += [Thing(1.0, None, lambda box=box: draw(box, GREY)) for box in occluders]  # type: ignore[misc]
    painter = Painter(canvas)
    painter.draw(things)
    return canvas, painter.boxes()


def test_an_object_alone_has_the_box_of_its_pixels() -> None:
    canvas, (box,) = painted()
    rows, columns = np.nonzero(canvas.pixels[0] > 0.5)
    assert (box.left, box.right) == (columns.min(), columns.max() + 1) == (100, 140)
    assert (box.top, box.bottom) == (rows.min(), rows.max() + 1) == (100, 140)
    assert box.visible == 1
    assert set(np.unique(canvas.owners)) == {SCENERY, 1}


def test_an_object_half_hidden_has_the_box_of_the_rest() -> None:
    _, (box,) = painted((90, 90, 120, 150))
    assert (box.left, box.top, box.right, box.bottom) == (120, 100, 140, 140)
    assert box.visible == pytest.approx(0.5)


def test_an_object_mostly_hidden_has_no_label() -> None:
    assert painted((90, 90, 128, 150))[1] == ()
    assert painted((90, 90, 150, 150))[1] == ()


def test_an_object_mostly_outside_the_picture_has_no_label() -> None:
    for left, wanted in ((396.0, 1), (403.0, 0)):
        canvas = Canvas(416, 256)
        painter = Painter(canvas)
        corners = [(left, 10.0), (left + 40, 10.0), (left + 40, 50.0), (left, 50.0)]
        painter.draw([Thing(1.0, 0, lambda c=corners, on=canvas: on.polygon(c, RED))])  # type: ignore[misc]
        assert len(painter.boxes()) == wanted


def test_shapes_cover_what_geometry_says() -> None:
    canvas = Canvas(64, 64)
    canvas.polygon([(10.25, 10), (20.25, 10), (20.25, 20), (10.25, 20)], (1, 1, 1))
    assert canvas.pixels[0].sum() == pytest.approx(100, rel=0.01)
    assert canvas.pixels[0, 15, 10] == pytest.approx(0.75)
    canvas = Canvas(64, 64)
    canvas.ellipse((32, 32), 12, 7, (1, 1, 1))
    assert canvas.pixels[0].sum() == pytest.approx(np.pi * 12 * 7, rel=0.02)
    canvas = Canvas(64, 64)
    canvas.line((10, 32), (50, 32), 3, (1, 1, 1))
    assert canvas.pixels[0].sum() == pytest.approx(40 * 6 + np.pi * 9, rel=0.02)


def test_randomness_is_frozen() -> None:
    dice = Dice("a scene")
    drawn = [dice.integer(0, 9) for _ in range(12)]
    assert drawn == [0, 8, 5, 7, 9, 4, 5, 2, 4, 3, 4, 3]
    assert hashed(np.arange(4), 7).tolist() == [3235910819, 4095569166, 1681525072, 2700431445]
    noise = grain(64, 64, 3)
    assert abs(noise.mean()) < 0.05
    assert noise.std() == pytest.approx(1, abs=0.05)


def test_dataset_is_what_evaluation_reads(tmp_path: Path) -> None:
    write_dataset(tmp_path, HELD_OUT, range(3, 6))
    dataset = read_dataset(tmp_path, names=read_names(tmp_path / "classes.names"))
    assert dataset.names == CLASS_NAMES
    assert [picture.path.name for picture in dataset.pictures] == [
        "000003.png", "000004.png", "000005.png",
    ]  # fmt: skip
    for seed, picture in zip(range(3, 6), dataset.pictures, strict=True):
        scene = render_scene(HELD_OUT, seed)
        with Image.open(picture.path) as image:
            assert np.array_equal(np.asarray(image), scene.pixels)
        assert len(picture.boxes) == len(scene.boxes)
        assert picture.label_path.read_text() == label_text(scene)


def test_command_draws_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenes", "-o", str(tmp_path / "out"), "--count", "2", "--seed", "8"]) == 0
    names = sorted(path.name for path in (tmp_path / "out/images").iterdir())
    assert names == ["000008.png", "000009.png"]
    assert "2 scenes in" in capsys.readouterr().err


def test_command_names_a_folder_it_cannot_make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    assert main(["scenes", "-o", str(tmp_path / "taken"), "--count", "1"]) == 2
    assert "the folder cannot be made" in capsys.readouterr().err


def test_drawing_needs_nothing_of_plugrt() -> None:
    script = (
        "import sys; sys.modules['plugrt'] = None; sys.path.insert(0, sys.argv[1])\n"
        "from yolo_example.scenes import render_scene; render_scene('training', 0)"
    )
    subprocess.run([sys.executable, "-c", script, str(ROOT)], check=True)
