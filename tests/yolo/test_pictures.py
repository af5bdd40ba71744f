"""Pictures into network inputs: Darknet's letter box and crop, OpenCV's stretching."""

import ctypes
import mmap

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from plugrt import ShapeError
from plugrt.plugins import Array
from tests.yolo.picture_reference import centre_cropped, letter_boxed, random_pixels, to_planes
from tests.yolo.reference_darknet import ReferenceDarknet
from yolo_example.preparation import MAXIMUM_SIDE, Picture, Preparation, prepare
from yolo_example.preparation.placement import fitted_size

ONE_ROUNDING = 3e-7
"""The kernel divides by 255 last, the references first."""

SIZES = [
    ((9, 13), (5, 7)),
    ((4, 3), (9, 11)),
    ((1, 1), (3, 2)),
    ((5, 6), (1, 1)),
    ((100, 75), (320, 352)),  # Darknet's last row is next to black
    ((40, 31), (70, 600)),  # more columns than the kernel makes at a time
    ((64, 48), (32, 24)),
]

sides = st.integers(1, 80)


def prepared(
    picture: Picture, how: Preparation, size: tuple[int, int], channels: int = 3, threads: int = 2
) -> Array:
    output = np.full((channels, *size), np.nan, np.float32)
    prepare(picture, how, output, threads)
    return output


# ---- the values ---------------------------------------------------------------------------


@pytest.mark.parametrize(("picture", "size"), SIZES)
def test_a_letter_box_by_its_definition(picture: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = random_pixels(*picture)
    expected = letter_boxed(to_planes(pixels), *size)
    result = prepared(pixels, Preparation.LETTER_BOX, size)
    np.testing.assert_allclose(result, expected, rtol=0, atol=ONE_ROUNDING)


@given(picture=st.tuples(sides, sides), size=st.tuples(sides, sides))
@settings(deadline=None)
def test_any_letter_box_and_any_crop(picture: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = random_pixels(*picture)
    for how, reference in (
        (Preparation.LETTER_BOX, letter_boxed),
        (Preparation.CENTRE_CROP, centre_cropped),
    ):
        expected = reference(to_planes(pixels), *size)
        result = prepared(pixels, how, size)
        np.testing.assert_allclose(result, expected, rtol=0, atol=ONE_ROUNDING)


@pytest.mark.parametrize(("picture", "size"), [s for s in SIZES if min(s[1]) > 1])
def test_letter_boxes_equal_darknets(
    picture: tuple[int, int], size: tuple[int, int], darknet: ReferenceDarknet
) -> None:
    pixels = random_pixels(*picture)
    expected = darknet.prepare("letterbox", to_planes(pixels), *size)
    result = prepared(pixels, Preparation.LETTER_BOX, size)
    np.testing.assert_allclose(result, expected, rtol=0, atol=ONE_ROUNDING)


@pytest.mark.parametrize("picture", [(90, 70), (70, 90), (30, 200), (64, 64)])
def test_crops_equal_darknets(picture: tuple[int, int], darknet: ReferenceDarknet) -> None:
    pixels = random_pixels(*picture)
    expected = darknet.prepare("centre_crop", to_planes(pixels), 64, 64)
    result = prepared(pixels, Preparation.CENTRE_CROP, (64, 64))
    np.testing.assert_allclose(result, expected, rtol=0, atol=ONE_ROUNDING)


@given(picture=st.tuples(sides, sides), size=st.tuples(sides, sides))
@settings(deadline=None)
def test_stretching_equals_opencvs_bit_for_bit(
    picture: tuple[int, int], size: tuple[int, int]
) -> None:
    pixels = random_pixels(*picture)
    expected = cv2.dnn.blobFromImage(pixels, 1 / 255, size[::-1], crop=False)[0]
    np.testing.assert_array_equal(prepared(pixels, Preparation.STRETCHED, size), expected)


@pytest.mark.parametrize(("picture", "size"), [((576, 768), (416, 416)), ((210, 301), (600, 602))])
def test_stretching_of_usual_sizes(picture: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = random_pixels(*picture)
    expected = cv2.dnn.blobFromImage(pixels, 1 / 255, size[::-1], crop=False)[0]
    np.testing.assert_array_equal(prepared(pixels, Preparation.STRETCHED, size), expected)


@pytest.mark.parametrize("how", Preparation)
def test_threads_do_not_change_the_result(how: Preparation) -> None:
    pixels = random_pixels(150, 220)
    alone = prepared(pixels, how, (130, 300), threads=1)
    np.testing.assert_array_equal(prepared(pixels, how, (130, 300), threads=3), alone)


def test_one_channel_is_luminance() -> None:
    pixels = random_pixels(30, 20)
    red, green, blue = prepared(pixels, Preparation.LETTER_BOX, (40, 40))
    (grey,) = prepared(pixels, Preparation.LETTER_BOX, (40, 40), channels=1)
    np.testing.assert_allclose(grey, 0.299 * red + 0.587 * green + 0.114 * blue, atol=1e-6)


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
    output = np.empty((3, 41, 40), np.float32)
    placement = prepare(random_pixels(30, 60), Preparation.LETTER_BOX, output)
    np.testing.assert_array_equal(output[:, :10], 0.5)
    np.testing.assert_array_equal(output[:, 30:], 0.5)
    assert (output[:, 10:30] != 0.5).any(axis=(1, 2)).all()
    assert (placement.left, placement.width) == (0, 1)
    assert (placement.top, placement.height) == (10.5 / 41, 20 / 41)


# ---- where the bytes lie ------------------------------------------------------------------


def test_arrays_of_any_strides() -> None:
    whole = random_pixels(90, 70)
    padded = np.zeros((90, 70, 4), np.uint8)
    padded[:, :, :3] = whole
    views = [
        whole[10:80, 5:60],
        whole[::-1],
        whole[::3, :],
        whole[:, ::-1],
        whole[:, ::2],
        whole[:, :, ::-1],
        whole.transpose(1, 0, 2),
        np.asfortranarray(whole),
        padded[:, :, :3],
        padded[:, :, 1:],
    ]
    for view in views:
        for how in Preparation:
            expected = prepared(np.ascontiguousarray(view), how, (33, 44))
            np.testing.assert_array_equal(prepared(view, how, (33, 44)), expected)


@pytest.mark.parametrize("size", [(60, 50), (2100, 2100)])
def test_pillows_memory_is_read_as_it_lies(size: tuple[int, int]) -> None:
    pixels = random_pixels(*size)  # the larger one is in two pieces
    for how in Preparation:
        expected = prepared(pixels, how, (32, 32))
        np.testing.assert_array_equal(prepared(Image.fromarray(pixels), how, (32, 32)), expected)


def test_pillow_without_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = random_pixels(20, 30)
    expected = prepared(pixels, Preparation.STRETCHED, (16, 16))
    monkeypatch.delattr(Image.Image, "__arrow_c_array__", raising=False)
    result = prepared(Image.fromarray(pixels), Preparation.STRETCHED, (16, 16))
    np.testing.assert_array_equal(result, expected)


def test_pillow_pictures_of_other_modes() -> None:
    color = Image.fromarray(random_pixels(20, 30))
    for mode in ("L", "RGBA", "P", "1", "CMYK"):
        other = color.convert(mode)
        expected = prepared(np.asarray(other.convert("RGB")), Preparation.STRETCHED, (16, 16))
        result = prepared(other, Preparation.STRETCHED, (16, 16))
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("pixel_stride", [3, 4])
@pytest.mark.parametrize("how", Preparation)
def test_no_byte_behind_the_picture_is_read(how: Preparation, pixel_stride: int) -> None:
    """The picture ends where memory ends: the next page may not be read."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 3 * page)
    whole = np.frombuffer(memory, np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    guard = ctypes.c_void_p(whole.ctypes.data + 2 * page)
    if libc.mprotect(guard, ctypes.c_size_t(page), 0):
        pytest.skip("mprotect is refused")
    pixels = random_pixels(37, 41)
    strides = (41 * pixel_stride, pixel_stride, 1)
    start = 2 * page - (36 * strides[0] + 40 * pixel_stride + 3)
    last = np.lib.stride_tricks.as_strided(whole[start:], pixels.shape, strides)
    last[...] = pixels
    np.testing.assert_array_equal(prepared(last, how, (50, 60)), prepared(pixels, how, (50, 60)))


# ---- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((4, 4, 3), np.float32), "array float32"),
        (np.zeros((4, 4), np.uint8), r"uint8 \[4, 4\]"),
        (np.zeros((4, 4, 4), np.uint8), r"\[4, 4, 4\]"),
        (np.zeros((0, 4, 3), np.uint8), "4 x 0 pixels"),
        (np.zeros((4, 0, 3), np.uint8), "0 x 4 pixels"),
        (Image.new("RGB", (0, 3)), "0 x 3 pixels"),
        (np.broadcast_to(np.zeros(3, np.uint8), (2, MAXIMUM_SIDE + 1, 3)), "smaller"),
        ([[1, 2, 3]], "a list"),
        ("dog.jpg", "a str"),
    ],
)
def test_what_is_no_picture(picture: Picture, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        prepared(picture, Preparation.STRETCHED, (8, 8))


@pytest.mark.parametrize(
    "output",
    [
        np.zeros((3, 8, 8)),
        np.zeros((2, 8, 8), np.float32),
        np.zeros((1, 3, 8, 8), np.float32),
        np.zeros((3, 8, 0), np.float32),
        np.zeros((3, 8, 16), np.float32)[:, :, ::2],
        np.broadcast_to(np.float32(0), (3, 8, 8)),
    ],
)
def test_places_that_cannot_be_written(output: Array) -> None:
    with pytest.raises(ShapeError, match="cannot be written"):
        prepare(random_pixels(4, 4), Preparation.STRETCHED, output)
