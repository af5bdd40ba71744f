"""Pictures into network inputs: Darknet's letter box, OpenCV's stretching."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from plugrt.plugins import Array
from yolo_example.detection import letterboxed, open_picture, stretched, to_array
from yolo_example.detection.pictures import fitted_size, resize_bilinear
from yolo_example.replacing import FileError


def random_picture(height: int, width: int) -> Image.Image:
    pixels = np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def slow_resize(image: Array, height: int, width: int) -> Array:
    """Darknet's interpolation pixel by pixel: rows, then columns."""
    one = np.float32(1)

    def line(values: Array, size: int) -> Array:
        result = np.empty(size, np.float32)
        for place in range(size):
            if place == size - 1 or len(values) == 1:
                result[place] = values[-1]
                continue
            position = np.float32(place) * (np.float32(len(values) - 1) / np.float32(size - 1))
            first = int(position)
            weight = position - np.float32(first)
            result[place] = (one - weight) * values[first] + weight * values[first + 1]
        return result

    rows = np.stack([[line(row, width) for row in plane] for plane in image])
    return np.stack([np.stack([line(c, height) for c in plane.T], 1) for plane in rows])


@pytest.mark.parametrize(
    ("size", "target"), [((9, 13), (5, 7)), ((4, 3), (9, 11)), ((1, 1), (3, 2)), ((5, 6), (1, 1))]
)
def test_resizing_is_darknets(size: tuple[int, int], target: tuple[int, int]) -> None:
    image = to_array(random_picture(*size))
    result = resize_bilinear(image, *target)
    np.testing.assert_allclose(result, slow_resize(image, *target), atol=2e-7)


@pytest.mark.parametrize(
    ("picture", "network", "inner"),
    [
        ((576, 768), (416, 416), (312, 416)),
        ((768, 576), (416, 416), (416, 312)),
        ((100, 333), (320, 352), (105, 352)),
        ((7, 7), (8, 16), (8, 8)),
        ((1, 3000), (32, 32), (1, 32)),
    ],
)
def test_fitted_sizes(
    picture: tuple[int, int], network: tuple[int, int], inner: tuple[int, int]
) -> None:
    assert fitted_size(*picture, *network) == inner


def test_a_letter_box_is_grey_round_the_picture() -> None:
    image = to_array(random_picture(30, 60))
    boxed, placement = letterboxed(image, 41, 40)
    assert boxed.shape == (3, 41, 40)
    assert boxed.dtype == np.float32
    np.testing.assert_array_equal(boxed[:, :10], 0.5)
    np.testing.assert_array_equal(boxed[:, 30:], 0.5)
    np.testing.assert_array_equal(boxed[:, 10:30], resize_bilinear(image, 20, 40))
    assert (placement.left, placement.width) == (0, 1)
    assert (placement.top, placement.height) == (10.5 / 41, 20 / 41)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (100, 75), (7, 300)])
def test_stretching_agrees_with_opencv(height: int, width: int) -> None:
    picture = random_picture(60, 80)
    blob = cv2.dnn.blobFromImage(np.asarray(picture), 1 / 255, (width, height), crop=False)
    # OpenCV rounds to 8 bits after resizing.
    result = stretched(to_array(picture), height, width)
    np.testing.assert_allclose(result, blob[0], atol=1.01 / 255)


def test_pictures_of_all_modes_become_three_channels(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P", "1", "CMYK"):
        suffix = "jpg" if mode == "CMYK" else "png"
        path = tmp_path / f"{mode}.{suffix}"
        random_picture(4, 6).convert(mode).save(path)
        assert to_array(open_picture(path)).shape == (3, 4, 6)


def test_wrong_pictures_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "a.jpg"
    text.write_text("no picture")
    whole = tmp_path / "b.png"
    random_picture(64, 64).save(whole)
    cut = tmp_path / "c.png"
    cut.write_bytes(whole.read_bytes()[:3000])
    for path, said in (
        (text, "not a picture"),
        (cut, "cannot be read"),
        (tmp_path / "absent.png", "No such file"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(FileError, match=said) as caught:
            open_picture(path)
        assert str(caught.value).startswith(f"{path}: ")
