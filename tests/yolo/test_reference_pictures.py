"""Pictures on their way into a network against the reference Darknet."""

import numpy as np
import pytest

from tests.yolo.reference_darknet import ReferenceDarknet
from yolo_example.preparation import Preparation, prepare

SIZES = [
    ((30, 60), (41, 40)),
    ((576, 768), (160, 160)),
    ((768, 576), (96, 160)),
    ((5, 7), (64, 33)),
    ((1, 9), (32, 32)),
    ((17, 1), (32, 64)),
    ((64, 96), (32, 48)),
    ((32, 48), (64, 96)),
]
FUNCTIONS = {Preparation.LETTER_BOX: "letterbox", Preparation.CENTRE_CROP: "centre_crop"}


@pytest.mark.parametrize("preparation", FUNCTIONS, ids=lambda p: p.value)
@pytest.mark.parametrize(("size", "target"), SIZES)
def test_prepared_pictures(
    darknet: ReferenceDarknet,
    preparation: Preparation,
    size: tuple[int, int],
    target: tuple[int, int],
) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    output = np.empty((3, *target), np.float32)
    prepare(pixels, preparation, output)
    image = np.moveaxis(pixels, -1, 0).astype(np.float32) / 255
    expected = darknet.prepare(FUNCTIONS[preparation], image, *target)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    # A frame of the picture's own proportions has no grey: what is left is the resizing.
    if preparation is Preparation.LETTER_BOX and size[0] * target[1] == size[1] * target[0]:
        np.testing.assert_allclose(output, darknet.prepare("resize", image, *target), atol=1e-5)
