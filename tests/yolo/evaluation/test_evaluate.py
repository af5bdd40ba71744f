"""A detector measured on labelled pictures."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from plugrt.plugins import ModelError, PluginError
from tests.yolo.evaluation.support import write_dataset
from yolo_example.detection import Detection, Timing
from yolo_example.evaluation import (
    Interval,
    evaluate,
    read_dataset,
)
from yolo_example.replacing import FileError

NAMES = ("cat", "dog", "cow")


class Oracle:
    """A detector that knows what it will be shown."""

    def __init__(
        self,
        found: Sequence[Sequence[Detection]],
        names: tuple[str, ...] = NAMES,
        batch_size: int = 2,
    ) -> None:
        self.names, self.batch_size = names, batch_size
        self.timing = Timing(1.0, 2.0, 3.0)
        self.sizes: list[int] = []
        self._found = iter(found)

    def detect_many(
        self, pictures: Iterable[Image.Image], threshold: float, overlap: float
    ) -> list[list[Detection]]:
        """The next of what it knows."""
        some = list(pictures)
        self.sizes.append(len(some))
        return [list(next(self._found)) for _ in some]


def perfect(score: float = 0.9) -> list[list[Detection]]:
    """What `folder` shows."""
    return [
        [
            Detection(0, "cat", score, (40, 15, 60, 35)),
            Detection(1, "dog", score, (0, 0, 50, 50)),
        ],
        [],
        [Detection(2, "cow", score, (0, 0, 100, 50))],
    ]


def test_a_perfect_detector_is_perfect(folder: Path) -> None:
    detector = Oracle(perfect())
    steps: list[int] = []
    result = evaluate(detector, read_dataset(folder), samples=50, advance=steps.append)
    assert (result.map_50, result.map) == pytest.approx((1, 1))
    assert (result.images, result.objects) == (3, 3)
    assert [(c.name, c.objects) for c in result.classes] == [("cat", 1), ("dog", 1), ("cow", 1)]
    assert [value for c in result.classes for value in (c.ap_50, c.ap)] == pytest.approx([1] * 6)
    assert result.map_50_interval == Interval(1, 1)
    assert result.timing == Timing(2.0, 4.0, 6.0)
    assert detector.sizes == steps == [2, 1]


def test_what_is_not_found_counts(folder: Path) -> None:
    found = perfect()
    found[0] = [Detection(1, "dog", 0.5, (0, 0, 50, 50)), Detection(1, "dog", 0.9, (60, 0, 90, 9))]
    result = evaluate(Oracle(found), read_dataset(folder), samples=0)
    assert [c.ap_50 for c in result.classes] == pytest.approx([0, 0.5, 1])
    assert result.map_50 == pytest.approx(0.5)
    assert result.map_50_interval is None
    assert result.as_plain()["intervals"]["map"] is None


def test_names_decide_which_classes_are_compared(folder: Path) -> None:
    dataset = read_dataset(folder, names=("dog", "bird", "cow"))
    result = evaluate(Oracle(perfect()), dataset, samples=10)
    assert [(c.name, c.objects) for c in result.classes] == [("dog", 1), ("cow", 1)]
    assert [c.ap_50 for c in result.classes] == pytest.approx([0, 1])
    assert result.objects == 2
    plain = result.as_plain()
    assert plain["only_in_plan"] == ["cat"]
    assert plain["only_in_dataset"] == ["bird"]
    assert plain["map_50"] == pytest.approx(0.5)


def test_plans_without_names_go_by_number(folder: Path) -> None:
    found = perfect()
    assert evaluate(Oracle(found, names=()), read_dataset(folder), samples=0).map > 0.99
    named = read_dataset(folder, names=("a", "b", "c"))
    result = evaluate(Oracle(found, names=()), named, samples=0)
    assert [c.name for c in result.classes] == ["a", "b", "c"]


def test_labels_beyond_the_plans_classes_are_refused(folder: Path) -> None:
    detector = Oracle(perfect(), names=("cat", "dog"))
    with pytest.raises(ModelError, match=r"2\.txt:1: class 2, but the plan has 2 classes"):
        evaluate(detector, read_dataset(folder))


def test_a_dataset_that_shows_nothing_is_refused(tmp_path: Path) -> None:
    dataset = read_dataset(write_dataset(tmp_path, ["", ""]))
    with pytest.raises(ModelError, match="show no object"):
        evaluate(Oracle(perfect()), dataset)


def test_a_picture_that_cannot_be_read_stops_it(folder: Path) -> None:
    dataset = read_dataset(folder)
    (folder / "images/day/2.png").write_text("no picture")
    with pytest.raises(FileError, match=r"2\.png"):
        evaluate(Oracle(perfect()), dataset)


def test_without_pycocotools_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = read_dataset(folder)
    monkeypatch.setitem(__import__("sys").modules, "pycocotools.cocoeval", None)
    with pytest.raises(PluginError, match=r"pip install 'plugrt-yolo\[eval\]'"):
        evaluate(Oracle(perfect()), dataset)
