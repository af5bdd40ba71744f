"""Definitions with trees of classes, and the further sections at the end of detectors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plugrt
from plugrt import ModelError
from plugrt.plugins import Array
from yolo_example.detection import Detector
from yolo_example.layers import ClassTree, DetectionLayer, GaussianYolo, Region, TreeSoftmax, YoloV1
from yolo_example.parsing import DarknetParser, read_model
from yolo_example.parsing.class_trees import read_map, read_tree

DataPath = Callable[[str], Path]
ReadCfg = Callable[[str], object]

NET = "[net]\nchannels=3\nheight=16\nwidth=24\n"
CONV = "[convolutional]\nfilters={}\nsize=1\nactivation=linear\n"
REGION = "[region]\nclasses=4\nnum=2\nanchors=1,2, 2,1\ntree=data/four.tree\nmap=data/two.map\n"
TREE = "n01 -1\nn02 -1\nn03 1\nn04 1\n"
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def tree_cfg(tmp_path: Path) -> Path:
    """A definition in a folder beside that of its tree."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "four.tree").write_text(TREE)
    cfg = tmp_path / "cfg" / "small.cfg"
    cfg.parent.mkdir()
    cfg.write_text(NET + CONV.format(18) + REGION)
    return cfg


def build(cfg: Path, **options: object) -> plugrt.Engine:
    network = plugrt.Network()
    DarknetParser(random_weights=2, **options).parse(cfg, None, network)
    return plugrt.build(network, plugrt.BuilderConfig(tune="off"))


def head(engine: plugrt.Engine) -> object:
    (name,) = engine.outputs
    return engine.layers[name]


def test_a_tree_travels_in_the_plan(tree_cfg: Path) -> None:
    with build(tree_cfg, hier_thresh=0.3) as engine:
        plan = engine.to_bytes()
    (tree_cfg.parent.parent / "data" / "four.tree").unlink()
    with plugrt.Engine.from_bytes(plan) as engine:
        layer = head(engine)
        assert isinstance(layer, Region)
        assert (layer.parents, layer.hier_thresh) == ((-1, -1, 1, 1), 0.3)
        assert layer.names == ("n01", "n02", "n03", "n04")
        assert layer.map == ()  # that of the definition is for training
        found = Detector(engine).detect(PICTURE, 0.1)
        assert found
        assert all(d.name == layer.names[d.class_index] for d in found)


def test_a_map_renames_the_classes(tree_cfg: Path, tmp_path: Path) -> None:
    chosen, few, all_names = (tmp_path / name for name in ("two.map", "few", "all"))
    chosen.write_text("3\n0\n")
    few.write_text("cat\ndog\n")
    all_names.write_text("thing\nanimal\nhorse\ncow\n")
    for names, expected in ((few, ("cat", "dog")), (all_names, ("cow", "thing"))):
        with build(tree_cfg, map=str(chosen), names=str(names)) as engine:
            layer = head(engine)
            assert isinstance(layer, Region)
            assert (layer.map, layer.classes, layer.names) == ((3, 0), 2, expected)
            found = Detector(engine).detect(PICTURE, 0.01)
            assert {d.name for d in found} <= set(expected)
            assert found
    few.write_text("cat\ndog\nhorse\n")
    with pytest.raises(ModelError, match="the map has 2 classes, but the file of names 3"):
        build(tree_cfg, map=str(chosen), names=str(few))


def test_a_tree_is_looked_for_above_the_definition(tree_cfg: Path, tmp_path: Path) -> None:
    tree = tmp_path / "data" / "four.tree"
    beside = tree_cfg.parent / "four.tree"
    tree.rename(beside)
    build(tree_cfg).close()
    elsewhere = tmp_path / "elsewhere.tree"
    beside.rename(elsewhere)
    with pytest.raises(ModelError) as caught:
        build(tree_cfg)
    message = str(caught.value)
    assert f"{tree_cfg}:13: [region] tree=data/four.tree is found neither from" in message
    assert str(tree_cfg.parent) in message
    assert "give the file with --tree FILE" in message
    build(tree_cfg, tree=str(elsewhere)).close()


def test_options_for_trees_need_one(write_cfg: Callable[[str], Path], tmp_path: Path) -> None:
    cfg = write_cfg(NET + CONV.format(14) + "[region]\nclasses=2\nnum=2\nanchors=1,2,2,1\n")
    for option in ("tree", "map"):
        with pytest.raises(ModelError, match="no layer has a tree of classes"):
            build(cfg, **{option: str(tmp_path / "any")})


def test_trees_and_definitions_must_agree(tree_cfg: Path) -> None:
    text = tree_cfg.read_text()
    tree_cfg.write_text(text.replace("classes=4", "classes=5").replace("=18", "=20"))
    with pytest.raises(ModelError, match=r"classes=5, but .*four\.tree has 4"):
        build(tree_cfg)
    tree_cfg.write_text(text + "background=1\n")
    with pytest.raises(ModelError, match=r":15: \[region\] background=1 and tree= exclude"):
        build(tree_cfg)
    tree_cfg.write_text(NET + CONV.format(5) + "[softmax]\ntree=data/four.tree\n")
    with pytest.raises(ModelError, match=r"the input is 5x16x24, but .*four\.tree has 4 classes"):
        build(tree_cfg)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no tree of classes"),
        ("n01 -1\n\nn02 -1\n", r"a\.tree:2: '' is not understood"),
        ("n01\n", r"a\.tree:1: 'n01' is not understood; write a name and the number"),
        ("n01 x\n", "'n01 x' is not understood"),
        ("n01 -1\nn02 1\n", r"a\.tree:2: class n02 is misplaced: its parent 1"),
        ("n01 -1\nn02 0\nn03 -1\n", r"a\.tree:3: class n03 is misplaced: it does not follow"),
    ],
)
def test_damaged_trees_are_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tree"
    path.write_text(text)
    with pytest.raises(ModelError, match=said):
        read_tree(path)


@pytest.mark.parametrize("line", ["4", "-1", "x", "1 2", "1.0"])
def test_damaged_maps_are_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.map"
    path.write_text(f"3\n{line}\n")
    with pytest.raises(ModelError, match=r"a\.map:2: .* is no class; write a class from 0 to 3"):
        read_map(path, 4)


def test_softmax_over_a_tree_in_a_network(tree_cfg: Path) -> None:
    softmax = "[avgpool]\n[softmax]\ntree=data/four.tree\ntemperature=2\n"
    tree_cfg.write_text(NET + CONV.format(4) + softmax)
    with build(tree_cfg) as engine:
        layer = head(engine)
        assert isinstance(layer, TreeSoftmax)
        assert (layer.temperature, layer.names[0]) == (2.0, "n01")
        image = np.random.default_rng(1).random((2, 3, 16, 24), np.float32)
        (result,) = engine.create_context().execute({"input": image}).values()
        np.testing.assert_allclose(result[:, :2].sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(result[:, 2:].sum(axis=1), 1, atol=1e-6)


HEADS: dict[str, tuple[str, type[DetectionLayer]]] = {
    "gaussian_yolo": (
        CONV.format(22)
        + "[Gaussian_yolo]\nmask=1,2\nanchors=4,6, 8,5, 10,12\nnum=3\nclasses=2\n"
        "yolo_point=left_top\nnms_kind=diounms\nbeta_nms=0.7\nuc_normalizer=0.1\n",
        GaussianYolo,
    ),
    "detection": (
        "[connected]\noutput=108\nactivation=linear\n"
        "[detection]\nclasses=2\ncoords=4\nrescore=1\nside=3\nnum=2\nsoftmax=0\nsqrt=1\n",
        YoloV1,
    ),
    "detection of planes": (
        "[maxpool]\nsize=8\nstride=8\n" + CONV.format(18)
        + "[detection]\nclasses=2\ncoords=4\nside=3\nnum=2\nsoftmax=1\n",
        YoloV1,
    ),
    "background": (
        CONV.format(16)
        + "[region]\nclasses=3\nnum=2\nanchors=1,2, 2,1\nbackground=1\nsoftmax=1\n",
        Region,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_every_head_works_in_a_detector(name: str, write_cfg: Callable[[str], Path]) -> None:
    sections, layer_class = HEADS[name]
    cfg = write_cfg(NET + sections)
    assert not read_model(cfg).notes
    with build(cfg) as engine:
        layer = head(engine)
        assert isinstance(layer, layer_class)
        found = Detector(engine).detect(PICTURE, 0.05)
        assert found
        assert {d.class_index for d in found} <= set(range(layer.classes))


@pytest.mark.parametrize(
    ("sections", "line", "said"),
    [
        ("[Gaussian_yolo]\nclasses=1\nanchors=1,2\n", 6, "need an input of 10 channels"),
        ("[Gaussian_yolo]\nanchors=1,2\nyolo_point=middle\n", 7, "write one of center, left_top"),
        ("[yolo]\nanchors=1,2\nnms_kind=soft\n", 7, "nms_kind=soft is not known; write one of"),
        ("[yolo]\nanchors=1,2\nbeta_nms=0\n", 7, "beta_nms=0 must be above 0"),
        ("[region]\ncoords=3\n", 6, "coords=3 is out of range; write 4"),
        ("[detection]\nclasses=1\n", 5, "coords=1, but a box has 4; write coords=4"),
        ("[detection]\ncoords=4\nside=2\n", 7, "need an input of 24 values, but it is 3x16x24"),
    ],
)
def test_errors_name_file_line_and_section(
    read_cfg: ReadCfg, sections: str, line: int, said: str
) -> None:
    with pytest.raises(ModelError) as caught:
        read_cfg(sections)
    assert f"net.cfg:{line}: [" in str(caught.value)
    assert said in str(caught.value)


def test_the_tree_of_yolo9000(data_path: DataPath) -> None:
    tree = ClassTree.of(read_tree(data_path("darknet/labels/9k.tree")).parents)
    assert len(tree.parents) == 9418
    assert len(tree.ends) == 1846
    begins = np.concatenate([[0], tree.ends[:-1]])
    for group, (begin, end) in enumerate(zip(begins, tree.ends, strict=True)):
        members = tree.parents[begin:end]
        assert (members == members[0]).all()
        assert group == 0 or tree.children[members[0]] == group
    absolute = tree.absolute(tree.softmax(random(3, 9418), axis=1))
    np.testing.assert_allclose(absolute[:, tree.leaves].sum(axis=1), 1, rtol=1e-4)
    assert len(read_map(data_path("darknet/labels/coco9k.map"), 9418)) == 80


def random(*shape: int) -> Array:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def test_yolo9000_reads_its_files(data_path: DataPath) -> None:
    cfg = data_path("darknet/cfg/pjreddie/yolo9000.cfg")
    last = read_model(cfg).layers[-1]
    with pytest.raises(ModelError, match=r"\[region\] tree=data/9k\.tree is found neither"):
        last.read_files()
