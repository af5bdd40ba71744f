"""Sections one by one against OpenCV's dnn module, with options that only Darknet's fork knows."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.yolo.reference_darknet import opencv
from tests.yolo.reference_darknet.comparing import assert_close, parse, random_picture, run
from tests.yolo.reference_darknet.definitions import written
from yolo_example.parsing import read_model
from yolo_example.parsing.random_weights import write_random_weights

NET = "channels=4 height=12 width=18"
CONVOLUTION = "convolutional filters=6 size=3 pad=1"
LINEAR = f"{CONVOLUTION} activation=linear"
SQUEEZE = "avgpool|convolutional filters=6 size=1 activation=logistic"

CASES: Mapping[str, str] = {
    **{
        f"convolution, {name}": f"{CONVOLUTION} batch_normalize={normalized} activation={name}"
        for name in ("linear", "leaky", "relu", "mish", "swish", "logistic", "tanh")
        for normalized in (0, 1)
    },
    "depthwise": "convolutional filters=8 size=5 pad=1 stride=2 groups=4 activation=mish",
    "route of a group": f"{CONVOLUTION} activation=mish|route layers=-1 groups=3 group_id=1",
    "route of several": f"{LINEAR}|{LINEAR}|route layers=-1,0|{LINEAR}|route layers=-1,-3,1",
    "shortcut": f"{LINEAR}|{CONVOLUTION} activation=mish|shortcut from=-2 activation=linear",
    "shortcut, activated": f"{LINEAR}|{LINEAR}|shortcut from=-2 activation=leaky",
    "scale_channels": f"{LINEAR}|{SQUEEZE}|scale_channels from=0",
    "sam": f"{LINEAR}|{CONVOLUTION} activation=logistic|sam from=-2",
    "maxpool": f"{LINEAR}|maxpool size=2 stride=2",
    "maxpool that keeps the size": f"{LINEAR}|maxpool size=5 stride=1",
    "maxpool at the edges": f"{LINEAR}|maxpool size=3 stride=2",
    "spatial pyramid": (
        f"{LINEAR}|maxpool size=5 stride=1|route layers=0|maxpool size=9 stride=1|"
        "route layers=-1,1,0"
    ),
    "upsample": f"{LINEAR}|upsample stride=3",
    "reorg": "convolutional filters=8 size=1 activation=linear|reorg stride=2",
    "classes": f"{LINEAR}|avgpool|softmax groups=1",
}


@pytest.mark.parametrize("case", CASES)
def test_sections(tmp_path: Path, case: str) -> None:
    cfg, weights = tmp_path / "net.cfg", tmp_path / "net.weights"
    cfg.write_text(written(CASES[case], NET), encoding="utf-8")
    model = read_model(cfg)
    assert model.notes == []
    write_random_weights(model.layers, 3, weights)
    picture = random_picture(model)
    ours = run(parse(cfg, weights, "opencv"), model, picture, every_section=True)
    judges = opencv.predict(cfg, weights, picture, ours)
    assert_close(ours, judges)
    for index, value in ours.items():
        assert value.squeeze().shape == judges[index].squeeze().shape
