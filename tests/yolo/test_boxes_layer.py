"""The layers that prepare pictures and find boxes: what they refuse, limits, descriptions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugrt.core.runtime.standalone import run_layer
from plugrt.plugins import (
    Array,
    Combination,
    DataType,
    Format,
    LayerAttributeError,
    ShapeError,
    TensorDesc,
    TensorView,
)
from tests.cuda.kernel_harness import CollectingStream
from tests.yolo.picture_reference import letter_boxed, random_pixels, to_planes
from yolo_example.detection import suppress_overlaps
from yolo_example.layers import GaussianYolo, Region, Yolo, boxes_cuda
from yolo_example.layers.boxes import Boxes
from yolo_example.layers.head_descriptions import describe_head, described_head, unsupported
from yolo_example.layers.prepare_pictures import PreparePictures
from yolo_example.preparation import Preparation, prepare, prepare_cuda

YOLO = Yolo(classes=2, anchors=(100, 130, 160, 300))


def boxes_layer(*heads: Any, **attributes: Any) -> Boxes:
    return Boxes(heads=tuple(map(describe_head, heads or (YOLO,))), **attributes)


def values(*shape: int) -> Array:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def floats(*shape: Any) -> TensorDesc:
    return TensorDesc(DataType.FLOAT32, shape)


# ---- boxes --------------------------------------------------------------------------------


def test_boxes_are_those_of_decode_and_suppression() -> None:
    given = values(2, 14, 9, 11)
    layer = boxes_layer(threshold=0.4, overlap=0.2)
    boxes, counts = run_layer(layer, [given])
    for image in range(2):
        active = YOLO.reference([given[image : image + 1]])[0][0]
        wanted = suppress_overlaps(YOLO.decode(active, 0.4), 0.2)
        assert counts[image] == len(wanted) > 5
        np.testing.assert_allclose(boxes[image, : len(wanted)], wanted, rtol=1e-5)
        assert not boxes[image, len(wanted) :].any()


def test_limit_and_capacity_keep_the_surest() -> None:
    given = values(1, 14, 30, 40)
    everything, count = run_layer(boxes_layer(threshold=0.3, overlap=1.0, limit=2048), [given])
    assert 500 < count[0] < 2048
    few, count = run_layer(boxes_layer(threshold=0.3, overlap=1.0, limit=7), [given])
    assert count[0] == 7
    np.testing.assert_array_equal(few[0], everything[0, :7])
    some, count = run_layer(
        boxes_layer(threshold=0.3, overlap=1.0, limit=400, capacity=128), [given]
    )
    assert count[0] == 128
    np.testing.assert_array_equal(some[0, :128], everything[0, :128])


def test_no_images() -> None:
    boxes, counts = run_layer(boxes_layer(limit=3), [values(0, 14, 3, 3)])
    assert boxes.shape == (0, 3, 6)
    assert counts.shape == (0,)


def test_heads_and_inputs_must_fit() -> None:
    layer = boxes_layer(YOLO, YOLO)
    with pytest.raises(ShapeError, match="1 inputs for 2 heads"):
        layer.getOutputDimensions(0, [floats(1, 14, 3, 3)])
    with pytest.raises(ShapeError, match="need \\[N, 14"):
        layer.getOutputDimensions(0, [floats(1, 14, 3, 3), floats(1, 16, 3, 3)])
    with pytest.raises(ShapeError, match="unequal batches"):
        layer.getOutputDimensions(0, [floats(1, 14, 3, 3), floats(2, 14, 3, 3)])
    with pytest.raises(ShapeError, match="2 and 3 classes"):
        boxes_layer(YOLO, Yolo(classes=3, anchors=(1, 2))).getOutputDimensions(
            0, [floats(1, 14, 3, 3), floats(1, 8, 3, 3)]
        )


def test_attributes_are_checked() -> None:
    with pytest.raises(LayerAttributeError, match="power of two from 128 to 2048"):
        boxes_layer(capacity=300)
    with pytest.raises(LayerAttributeError, match="nms_kind"):
        boxes_layer(nms_kind="soft")
    layer = Boxes(heads=('{"type": "Darknet.Reorg"}',))
    with pytest.raises(LayerAttributeError, match=r"describes none of Darknet\.Region"):
        layer.getOutputDimensions(0, [floats(1, 14, 3, 3)])
    layer = Boxes(heads=("not JSON",))
    with pytest.raises(LayerAttributeError, match="describe_head"):
        layer.getOutputDimensions(0, [floats(1, 14, 3, 3)])


def test_descriptions() -> None:
    region = Region(classes=2, anchors=(1.5, 2.5), background=True, names=("cat", "dog"))
    again = described_head("test", describe_head(region))
    assert isinstance(again, Region)
    assert again.attribute_values == {**region.attribute_values, "names": ()}
    tree = Region(classes=2, anchors=(1, 2), parents=(-1, -1))
    assert unsupported(tree) == "the classes of this Darknet.Region form a tree"
    with pytest.raises(LayerAttributeError, match="form a tree"):
        describe_head(tree)
    with pytest.raises(LayerAttributeError, match="GaussianYolo is none of"):
        describe_head(GaussianYolo(classes=2, anchors=(1, 2)))


def test_formats_on_a_gpu() -> None:
    layer = boxes_layer(YOLO, YOLO)
    outputs = (floats(1, 256, 6), TensorDesc(DataType.INT64, (1,)))

    def takes(*inputs: TensorDesc, device: str = "cuda") -> bool:
        return layer.supportsFormat(Combination(inputs, outputs, device))

    last = TensorDesc(DataType.FLOAT16, (1, 14, 3, 3), Format.CHANNELS_LAST)
    assert takes(last, last)
    assert not takes(last, floats(1, 14, 3, 3))
    assert not takes(last, last, device="cpu")
    assert takes(floats(1, 14, 3, 3), floats(1, 14, 3, 3), device="cpu")


def test_a_gpu_refuses_inputs_that_reach_too_far_where_they_lie() -> None:
    layer = boxes_layer()
    workspace, boxes, counts = (
        TensorView(desc, slot)
        for slot, desc in enumerate((
            TensorDesc(DataType.UINT8, (boxes_cuda.workspace_size(layer, [(1, 14, 3, 3)]),)),
            floats(1, 256, 6), TensorDesc(DataType.INT64, (1,)),
        ))
    )  # fmt: skip

    def recorded(plane: int) -> int:
        desc = TensorDesc(DataType.FLOAT32, (1, 14, 3, 3), strides=(14 * plane, plane, 3, 1))
        stream = CollectingStream()
        boxes_cuda.record(layer, [TensorView(desc, 3)], boxes, counts, workspace, stream)
        return len(stream.kernels)

    assert recorded(2**27) == 2
    with pytest.raises(ShapeError, match=r"input 0 reaches over 2,181,038,088 elements"):
        recorded(2**27 + 2**25)


# ---- pictures -----------------------------------------------------------------------------


def test_a_gpu_prepares_as_many_pictures_as_a_grid_counts() -> None:
    def offered(images: int) -> int:
        return len(prepare_cuda.tactics(TensorDesc(DataType.UINT8, (images, 8, 8, 3))))

    assert (offered(65535), offered(65536)) == (1, 0)


@pytest.mark.parametrize("kind", Preparation)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 21), (64, 200)])
@pytest.mark.parametrize("depth", [3, 4])
def test_pictures_are_prepared_as_one_by_one(
    kind: Preparation, size: tuple[int, int], depth: int
) -> None:
    pictures = np.stack([random_pixels(*size), random_pixels(*size)[::-1]])
    given = np.full((*pictures.shape[:3], depth), 99, np.uint8)
    given[..., :3] = pictures
    layer = PreparePictures(height=24, width=32, preparation=kind.value)
    (found,) = run_layer(layer, [given])
    expected = np.empty_like(found)
    for picture, output in zip(pictures, expected, strict=True):
        placement = prepare(picture, kind, output)
        assert placement == layer.placement(*size)
    np.testing.assert_array_equal(found, expected)
    (reference,) = layer.reference([given])
    np.testing.assert_allclose(reference, expected, atol=2e-6)


def test_the_reference_is_darknets() -> None:
    pixels = random_pixels(40, 70)
    layer = PreparePictures(height=24, width=32, preparation="letter-box")
    expected = letter_boxed(to_planes(pixels), 24, 32)
    np.testing.assert_allclose(layer.reference([pixels[None]])[0][0], expected, atol=2e-6)


def test_what_are_no_pictures() -> None:
    layer = PreparePictures(height=24, width=32)
    for shape in ((1, 40, 50), (1, 40, 50, 2), (1, 0, 50, 3)):
        with pytest.raises(ShapeError, match="PreparePictures"):
            layer.getOutputDimensions(0, [TensorDesc(DataType.UINT8, shape)])
    with pytest.raises(ShapeError, match="give uint8"):
        layer.getOutputDataType(0, [DataType.FLOAT32])
    with pytest.raises(LayerAttributeError, match="preparation"):
        PreparePictures(height=24, width=32, preparation="squeezed")
