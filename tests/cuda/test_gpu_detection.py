"""Detection on a GPU: pictures in, boxes out, in one graph; the CPU finds the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plugrt
from plugrt import BuilderConfig, Engine, Network
from plugrt.core.devices.cuda.graphs import Graph
from plugrt.core.devices.cuda.interchange import DeviceArray
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.core.devices.cuda.recording import CudaRecording
from plugrt.plugins import Array
from plugrt.plugins.native.cuda import Context
from yolo_example.cli import main
from yolo_example.detection import Detection, Detector
from yolo_example.model import CFG, NAMES, WEIGHTS
from yolo_example.parsing import DarknetParser
from yolo_example.scenes import HELD_OUT, render_scene

pytestmark = pytest.mark.cuda

THRESHOLD = 0.3
NEAR_SCORE, NEAR_PIXELS = {"fp32": 2e-4, "fp16": 2e-2}, {"fp32": 0.05, "fp16": 2.0}


def build(device: str, precision: str = "fp32", *, end_to_end: bool = True) -> Engine:
    """The project's own model."""
    parser = DarknetParser(names=str(NAMES), end_to_end=end_to_end, threshold=THRESHOLD)
    network = parser.parse(CFG, WEIGHTS, Network()).network
    config = BuilderConfig(device=device, precision=precision, tune="off", threads=2)
    return plugrt.build(network, config)


@pytest.fixture(scope="module")
def pictures() -> list[Array]:
    sizes = ((256, 448), (256, 448), (540, 960))
    return [render_scene(HELD_OUT, k, w, h).pixels for k, (h, w) in enumerate(sizes)]


@pytest.fixture(scope="module")
def expected(pictures: list[Array]) -> list[list[Detection]]:
    """What the CPU finds stage by stage."""
    with build("cpu", end_to_end=False) as engine:
        return Detector(engine).detect_many(pictures, THRESHOLD)


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engine(precision: str) -> Iterator[Engine]:
    with build("cuda", precision) as made:
        yield made


def check(found: Sequence[Detection], wanted: Sequence[Detection], precision: str) -> None:
    """Every object that is clearly above the threshold is found at the same place."""
    score, pixels = NEAR_SCORE[precision], NEAR_PIXELS[precision]
    assert found
    for some, others in ((found, wanted), (wanted, found)):
        for one in some:
            near = [
                other for other in others
                if other.class_index == one.class_index
                and np.abs(np.subtract(other.box, one.box)).max() < pixels
                and abs(other.score - one.score) < score
            ]  # fmt: skip
            assert near or one.score < THRESHOLD + score, one


def on_gpu(picture: Array) -> DeviceArray:
    buffer = DeviceBuffer.of(Context.of(0), picture)
    return DeviceArray(buffer.address, picture.shape, picture.dtype, 0, buffer)


def test_the_cpu_finds_the_same(
    engine: Engine, precision: str, pictures: list[Array], expected: list[list[Detection]]
) -> None:
    assert not [line for line in engine.report if "runs on the host" in line]
    detector = Detector(engine, batch_size=2)
    assert detector.is_end_to_end
    found = detector.detect_many(pictures)
    for one, wanted in zip(found, expected, strict=True):
        check(one, wanted, precision)
    assert detector.detect_many(pictures) == found


def test_an_inference_is_one_graph(engine: Engine, pictures: list[Array]) -> None:
    given = pictures[0][None]
    with engine.create_context() as context:
        held = context.execute({"pictures": on_gpu(given)})
        again = context.execute({"pictures": given})
        for name, values in held.items():
            np.testing.assert_array_equal(values, again[name])
        recording = context.recording({"pictures": given.shape})
        assert recording.is_simple
        (segment,) = recording.segments
        replayed = recording.variant(segment, recording.sizes).recording
        assert isinstance(replayed, CudaRecording)
        (step,) = replayed.instance().steps
        assert isinstance(step, Graph)


def test_a_plan_from_the_command_line(
    tmp_path: Path, pictures: list[Array], expected: list[list[Detection]],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    plan, picture = tmp_path / "street.plan", tmp_path / "street.png"
    with build("cpu") as engine:
        engine.save(plan)
    Image.fromarray(pictures[0]).save(picture)
    with pytest.warns(RuntimeWarning, match="cpu"):
        assert main(["detect", str(plan), str(picture), "--device", "cuda"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(expected[0])
