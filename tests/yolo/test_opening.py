"""Files of pictures, opened: modes, EXIF, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.yolo.picture_reference import random_pixels
from yolo_example.preparation import open_picture
from yolo_example.replacing import FileError


def test_pictures_of_all_modes_are_opened_as_rgb(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P", "1", "CMYK"):
        suffix = "jpg" if mode == "CMYK" else "png"
        path = tmp_path / f"{mode}.{suffix}"
        Image.fromarray(random_pixels(4, 6)).convert(mode).save(path)
        picture = open_picture(path)
        assert (picture.mode, picture.size) == ("RGB", (6, 4))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_camera_says(tmp_path: Path, orientation: int) -> None:
    lying = random_pixels(4, 6)
    turned = {
        1: lying, 2: lying[:, ::-1], 3: lying[::-1, ::-1], 4: lying[::-1],
        5: lying.transpose(1, 0, 2), 6: np.rot90(lying, -1),
        7: np.rot90(lying, 2).transpose(1, 0, 2), 8: np.rot90(lying),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(lying).save(path, exif=exif)
    np.testing.assert_array_equal(np.asarray(open_picture(path)), turned)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("data", [b"no TIFF", b"II*\0\x08\0\0\0\xff\xff\x12\x01"])
def test_broken_exif_data_do_no_harm(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "broken.jpg"
    Image.fromarray(random_pixels(8, 8)).save(path, exif=b"Exif\0\0" + data)
    assert open_picture(path).size == (8, 8)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.array([[0, 256, 0x8001, 0xFFFF]], np.uint16)).save(path)
    np.testing.assert_array_equal(np.asarray(open_picture(path))[0, :, 1], [0, 1, 128, 255])


def test_wrong_pictures_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "a.jpg"
    text.write_text("no picture")
    whole = tmp_path / "b.png"
    Image.fromarray(random_pixels(64, 64)).save(whole)
    cut = tmp_path / "c.png"
    cut.write_bytes(whole.read_bytes()[:3000])
    floats = tmp_path / "d.tiff"
    Image.new("F", (3, 3)).save(floats)
    long = tmp_path / "e.png"
    Image.new("L", (65537, 1)).save(long)
    for path, said in (
        (text, "not a picture"),
        (long, "65537 x 1 pixels"),
        (cut, "cannot be read"),
        (floats, "no known range"),
        (tmp_path / "absent.png", "No such file"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(FileError, match=said) as caught:
            open_picture(path)
        assert str(caught.value).startswith(f"{path}: ")
