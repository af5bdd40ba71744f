"""Reading definitions: sections, options, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugrt import ModelError
from yolo_example.parsing import read_model
from yolo_example.parsing.cfg_reader import read_cfg, read_key_values

WriteCfg = Callable[[str], Path]


def test_sections_options_and_lines(write_cfg: WriteCfg) -> None:
    path = write_cfg(
        "# comment\n\n[ net ]\n width = 4 # inline\nheight=5;also\n; more\r\n"
        "[yolo]\nmask = 0, 1,\t2\n"
    )
    net, yolo = read_cfg(path)
    assert (net.name, net.line, yolo.name, yolo.line) == ("net", 3, "yolo", 7)
    assert {k: (o.value, o.line) for k, o in net.options.items()} == {
        "width": ("4", 4),
        "height": ("5", 5),
    }
    assert yolo.options["mask"].value == "0,1,2"


def test_the_first_of_equal_options_counts(write_cfg: WriteCfg) -> None:
    (net,) = read_cfg(write_cfg("[net]\nwidth=4\nwidth=5\n"))
    assert net.options["width"].value == "4"
    assert net.repeated == [("width", 3)]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[net\n", 1, "not a section"),
        ("[]\n", 1, "not a section"),
        ("\nwidth=1\n", 2, "before any section"),
        ("[net]\nwidth\n", 2, "neither"),
        ("[net]\nwidth=\n", 2, "neither"),
        ("[net]\n=3\n", 2, "neither"),
    ],
)
def test_wrong_lines_are_named(write_cfg: WriteCfg, text: str, line: int, said: str) -> None:
    path = write_cfg(text)
    with pytest.raises(ModelError) as caught:
        read_cfg(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but words\n;\n"])
def test_an_empty_definition_is_refused(write_cfg: WriteCfg, text: str) -> None:
    path = write_cfg(text)
    with pytest.raises(ModelError, match="holds no section"):
        read_model(path)


def test_binary_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.weights"
    path.write_bytes(b"[net]\n\0\0")
    with pytest.raises(ModelError, match=r"byte offset 6.*exchanged"):
        read_cfg(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.cfg", tmp_path):
        with pytest.raises(ModelError, match="cannot be read"):
            read_cfg(path)


def test_key_values_without_sections(write_cfg: WriteCfg) -> None:
    path = write_cfg("classes= 80\n#valid = x\nnames = coco.names\nnames=other\n")
    assert read_key_values(path) == {"classes": "80", "names": "coco.names"}
    with pytest.raises(ModelError, match=":1: "):
        read_key_values(write_cfg("[net]\n"))


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["[net]", "[convolutional]", "[yolo]", "[route]", "[maxpool]", "[shortcut]",
             "[region]", "[connected]", "[softmax]", "[reorg]", "[upsample]", "[scale_channels]",
             "[crop]", "[local_avgpool]", "[implicit]", "[lrn]", "[l2norm]", "[batchnorm]"]
        ),
        st.builds(
            "{}={}".format,
            st.sampled_from(
                ["width", "height", "channels", "filters", "size", "stride", "pad", "padding",
                 "groups", "layers", "from", "mask", "anchors", "classes", "num", "activation",
                 "output", "batch_normalize", "scale", "group_id", "softmax", "temperature",
                 "dilation", "antialiasing", "flipped", "maxpool_depth", "out_channels", "extra",
                 "flatten", "reverse", "crop_height", "crop_width", "alpha", "beta", "atoms",
                 "weights_type", "dontload", "dontloadscales"]
            ),
            st.one_of(
                st.integers(-3, 40),
                st.integers(),
                st.sampled_from(
                    ["leaky", "linear", "-1,-2", "1,2,3", "1e9", "nan", "inf", ",", "per_channel",
                     "normalize_channels"]
                ),
                st.text(max_size=5),
            ),
        ),
        st.text(max_size=20),
    ),
    max_size=25,
)  # fmt: skip


@given(lines=LINES, sized=st.booleans())
def test_any_text_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], sized: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.cfg"
    head = ["[net]", "width=8", "height=8", "channels=4"] if sized else []
    path.write_text("\n".join(head + lines), encoding="utf-8", errors="replace")
    message = ""
    try:
        model = read_model(path)
    except ModelError as error:
        message = str(error)
    if message:
        assert str(path) in message
        assert "\n" not in message
    else:
        assert all(layer.output.size > 0 for layer in model.layers)
