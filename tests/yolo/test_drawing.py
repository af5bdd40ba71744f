"""Drawn detections: frames, labels, colors."""

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from yolo_example.detection import Detection, draw_detections
from yolo_example.detection.label_layout import place_labels
from yolo_example.detection.painting import Canvas
from yolo_example.detection.palette import class_color, contrast, text_color

GREY = (128, 128, 128)
CLASSES = range(600)


def found(*box: float, label: int = 0, name: str = "cat", score: float = 0.9) -> Detection:
    left, top, right, bottom = box
    return Detection(label, name, score, (left, top, right, bottom))


def grey(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def test_a_frame_is_on_the_box_in_the_color_of_its_class() -> None:
    drawn = draw_detections(grey(400, 300), [found(100, 120, 300, 250, label=7)])
    for place in ((200, 250), (100, 200), (300, 200), (200, 120)):
        assert drawn.getpixel(place) == class_color(7), place
    for place in ((200, 200), (50, 200), (350, 280)):
        assert drawn.getpixel(place) == GREY, place


def test_the_picture_itself_is_left_alone_whatever_its_mode() -> None:
    for mode in ("RGB", "L", "RGBA", "P"):
        picture = grey(200, 100).convert(mode)
        before = picture.tobytes()
        drawn = draw_detections(picture, [found(20, 30, 150, 90)])
        assert picture.tobytes() == before
        assert (drawn.mode, drawn.size) == ("RGB", (200, 100))


def test_lines_and_labels_grow_with_the_picture() -> None:
    def share(scale: int) -> float:
        box = [scale * place for place in (30.0, 40.0, 160.0, 130.0)]
        pixels = np.asarray(draw_detections(grey(200 * scale, 150 * scale), [found(*box)]))
        return float((pixels != GREY).any(axis=2).mean())

    assert share(8) == pytest.approx(share(24), rel=0.15)


def test_edges_are_smooth() -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    Canvas(pixels).fill((10.5, 10.25, 30, 30), 0, (200, 200, 200))
    assert pixels[20, 9].max() == 0
    np.testing.assert_array_equal(pixels[20, 10], 100)
    np.testing.assert_array_equal(pixels[10, 20], 150)
    np.testing.assert_array_equal(pixels[20, 11:30], 200)
    assert pixels[20, 30].max() == 0


def test_round_corners_cover_what_a_circle_does() -> None:
    pixels = np.zeros((90, 90, 3), np.uint8)
    Canvas(pixels).fill((5, 5, 85, 85), 40, (255, 255, 255))
    assert pixels[..., 0].sum() / 255 == pytest.approx(np.pi * 40**2, rel=1e-3)


def test_an_outline_in_parts_is_the_outline_as_a_whole() -> None:
    """Only the surroundings of an edge are computed; a fill twice gives the same."""
    box, radius, line = (30.3, 40.6, 170.2, 150.9), 12.0, 6.0
    pixels = np.zeros((200, 200, 3), np.uint8)
    Canvas(pixels).stroke(box, radius, line, (255, 255, 255))
    whole = np.zeros((200, 200, 3), np.uint8)
    left, top, right, bottom = box
    outer = (left - 3, top - 3, right + 3, bottom + 3)
    inner = (left + 3, top + 3, right - 3, bottom - 3)
    Canvas(whole).fill(outer, radius + 3, (255, 255, 255))
    Canvas(whole).fill(inner, radius - 3, (0, 0, 0))
    assert np.abs(pixels.astype(int) - whole).max() <= 2


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 400, 300),
        (-50, -50, 500, 400),
        (390, 290, 400, 300),
        (0, 0, 0, 0),
        (400, 300, 400, 300),
        (100, 100, 100, 250),
        (200, 200, 100, 100),
    ],
)
def test_boxes_on_edges_and_empty_ones_are_seen(box: tuple[float, ...]) -> None:
    drawn = draw_detections(grey(400, 300), [found(*box)])
    pixels = np.asarray(drawn)
    assert (pixels == class_color(0)).all(axis=2).sum() > 20


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (40, 40), (70, 65)])
def test_small_pictures(size: tuple[int, int]) -> None:
    detections = [found(0, 0, *size), found(0, 0, 1, 1, name="a very long name of a class")]
    assert draw_detections(grey(*size), detections).size == size


def test_nothing_found_changes_nothing() -> None:
    assert draw_detections(grey(90, 80), []).tobytes() == grey(90, 80).tobytes()


def test_the_surest_is_on_top() -> None:
    first, second = found(50, 50, 200, 200, label=1), found(50, 50, 200, 200, label=2, score=0.5)
    drawn = draw_detections(grey(300, 300), [first, second])
    assert drawn.getpixel((100, 200)) == class_color(1)


def test_labels_do_not_overlap_where_there_is_room() -> None:
    boxes = [(40.0 + 90 * k, 60.0 + 3 * k, 120.0 + 90 * k, 200.0) for k in range(6)]
    boxes += [(41.0, 61.0, 121.0, 201.0), (300.0, 0.0, 380.0, 90.0), (560.0, 300.0, 640.0, 480.0)]
    labels = place_labels([f"person {k}0%" for k in range(9)], boxes, 3, 640, 480)
    for one, other in combinations(labels, 2):
        assert overlap(one.box, other.box) == 0, (one, other)


def test_labels_stay_in_the_picture() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        corners = np.sort(random.uniform(0, 1, (8, 2, 2)), axis=1) * (640, 480)
        boxes = [tuple(map(float, box)) for box in corners.reshape(8, 4)]
        for label in place_labels(["motorcycle 93%"] * 8, boxes, 3, 640, 480):
            left, top, right, bottom = label.box
            assert 0 <= left < right <= 640
            assert 0 <= top < bottom <= 480


def test_a_label_begins_at_its_box() -> None:
    (label,) = place_labels(["dog 90%"], [(100, 200, 300, 400)], 4, 640, 480)
    assert label.box[0] == 98
    assert label.box[3] == 198


def test_a_label_wider_than_the_picture_has_a_smaller_font() -> None:
    (narrow,) = place_labels(["dining table 90%"], [(5, 50, 80, 200)], 2, 90, 300)
    assert narrow.box[2] - narrow.box[0] <= 90


def test_a_long_name_in_any_script_is_drawn() -> None:
    drawn = draw_detections(grey(300, 200), [found(20, 60, 200, 150, name="Löwe 狮子 " * 9)])
    assert drawn.tobytes() != grey(300, 200).tobytes()


def test_labels_can_be_read() -> None:
    for index in CLASSES:
        color = class_color(index)
        assert contrast(color, text_color(color)) >= 4.5, index


def test_neighbouring_classes_differ_and_a_class_keeps_its_color() -> None:
    assert class_color(3) == class_color(3)
    for index in CLASSES:
        near = np.array([class_color(index + step) for step in range(1, 8)], int)
        assert np.abs(near - class_color(index)).max(axis=1).min() >= 40, index
    assert len({class_color(index) for index in range(80)}) == 80


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)
