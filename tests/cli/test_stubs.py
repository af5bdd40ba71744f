"""`plugrt plugins stubs`: the committed stubs are up to date, true at run time, and typed."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mypy import api

import plugrt
from plugrt.cli import main
from plugrt.commands.layer_stubs import stub_module
from plugrt.core.graph.helpers import PREFIX, meant_type, snake_case
from plugrt.plugins import DataType, LayerPlugin, PluginError, attribute

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "src/plugrt/layer_helpers.pyi"


class Awkward(LayerPlugin):
    r'''Says "no\yes"'''

    type = "Acme.TopK"
    input_names = ("data?", "scale", "lambda?", "others*")
    scale = attribute(float, float("inf"))
    kinds = attribute(tuple[str, ...], ("a",), 'how """it""" is')
    to = attribute(DataType, DataType.INT8)
    table = attribute(np.ndarray, np.zeros(2))
    level = attribute(int, 1, "how much", allowed=(1, 2))


class Clashing(LayerPlugin):
    """Its helper would hide `Network.add_input`."""

    type = "Input"


class OutOfReach(LayerPlugin):
    """Its attribute cannot be told from the layer's name."""

    type = "Acme.Named"
    name = attribute(str)


def methods_of(text: str) -> dict[str, ast.FunctionDef]:
    """The methods of the class LayerHelpers in a stub module."""
    (helpers,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    return {node.name: node for node in helpers.body if isinstance(node, ast.FunctionDef)}


@pytest.fixture(scope="module")
def installed() -> plugrt.Registry:
    return plugrt.Registry.discover()


def test_committed_stubs_are_up_to_date(installed: plugrt.Registry) -> None:
    fresh = stub_module(installed, "plugrt")
    assert COMMITTED.read_text(encoding="utf-8") == fresh, (
        "run: plugrt plugins stubs --distribution plugrt --output src/plugrt/layer_helpers.pyi"
    )


def test_every_built_in_layer_has_its_method(installed: plugrt.Registry) -> None:
    methods = methods_of(COMMITTED.read_text(encoding="utf-8"))
    names = installed.names("layers")
    built_in = [n for n in names if installed.describe("layers", n).distribution == "plugrt"]
    assert {meant_type(method, names) for method in methods} == set(built_in)
    assert len(methods) == len(built_in)


def test_defaults_are_those_of_the_layers(installed: plugrt.Registry) -> None:
    constants = {"DataType": DataType, "float": float}
    for method, node in methods_of(COMMITTED.read_text(encoding="utf-8")).items():
        layer = installed.layer(str(meant_type(method, installed.names("layers"))))
        keywords = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        told = {argument.arg: default for argument, default in keywords}
        assert list(told) == ["name", *layer.schema]
        for name, declared in layer.schema.items():
            default = told[name]
            assert (default is None) == declared.required
            if default is not None:
                assert eval(ast.unparse(default), constants) == declared.default


def test_odd_declarations_give_a_sound_module() -> None:
    registry = plugrt.Registry()
    for layer in (Awkward, Clashing, OutOfReach):
        registry.register(layer)
    text = stub_module(registry)
    (method,) = methods_of(text).values()
    assert ast.unparse(method).startswith(
        "def add_acme_top_k(self, data: TensorLike | None, scale_input: TensorLike, "
        "input_lambda: TensorLike | None=None, /, *others: TensorLike | Sequence[TensorLike], "
        "name: str | None=None, scale: float=float('inf'), kinds: Sequence[str]=('a',), "
        "to: DataType | str | type[Any] | dtype[Any]=DataType.INT8, table: ArrayLike=..., "
        "level: Literal[1, 2]=1) -> Layer:"
    )
    assert inspect.cleandoc(str(ast.get_docstring(method))) == (
        'Says "no\\yes"\n\nArgs:\n    kinds: how """it""" is\n    level: how much'
    )
    assert "Graph" not in text


def test_one_distribution_and_unknown_ones(installed: plugrt.Registry) -> None:
    darknet = methods_of(stub_module(installed, "Plugrt_Yolo"))
    assert "add_darknet_yolo" in darknet
    everything = methods_of(stub_module(installed))
    assert darknet.keys() < everything.keys()
    known = {installed.describe("layers", name).distribution for name in installed.names("layers")}
    assert {"plugrt", "plugrt-yolo"} <= known  # others, where tests before this installed some
    with pytest.raises(PluginError, match=f"there are layers of: {', '.join(sorted(known))}$"):
        stub_module(installed, "absent")


def test_layers_that_cannot_be_loaded_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    registry = plugrt.Registry()
    registry.register(Awkward)
    registry.deny(Awkward.type)
    assert methods_of(stub_module(registry)) == {}
    assert "warning: layer 'Acme.TopK' is left out" in capsys.readouterr().err


def test_command_writes_a_stub_file(
    tmp_path: Path, succeeds: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "helpers.pyi"
    assert succeeds("plugins", "stubs", "--output", target) == ""
    assert target.read_text(encoding="utf-8") == succeeds("plugins", "stubs")
    assert main(["plugins", "stubs", "--output", str(tmp_path / "helpers.py")]) == 2
    assert "give a name ending in .pyi" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("type_name", "expected"),
    [
        ("ReLU", "relu"), ("PReLU", "prelu"), ("LeakyReLU", "leaky_relu"), ("LRN", "lrn"),
        ("MatMul", "mat_mul"), ("IsNaN", "is_nan"), ("BiGRU", "bi_gru"), ("ToRGB", "to_rgb"),
        ("NMSPlugin", "nms_plugin"), ("Acme.TopK", "acme_top_k"), ("ReLU6", "relu6"),
    ],
)  # fmt: skip
def test_names_in_snake_case(type_name: str, expected: str) -> None:
    assert snake_case(type_name) == expected
    assert meant_type(f"{PREFIX}{expected}", ["Other", type_name]) == type_name


def test_helpers_take_several_tensors_and_arrays() -> None:
    network = plugrt.Network()
    x = network.add_input("x", "float32", [1, 2])
    assert len(network.add_concatenation([x, x], x).inputs) == 3
    indices = network.add_gather(x, [[1, 0]], axis=1).inputs[1]
    assert indices is not None
    np.testing.assert_array_equal(indices.value, [[1, 0]])
    assert network.add_mat_mul(x, np.ones((2, 3), np.float32)).output.shape == (1, 3)
    assert network.add_matmul(x, np.ones((2, 3), np.float32)).output.shape == (1, 3)


RIGHT = '''
import numpy as np
import plugrt

network = plugrt.Network()
x = network.add_input("x", "float32", ["N", 4, 8, 8])
weights = np.zeros((4, 4, 3, 3), np.float32)
layer: plugrt.Layer = network.add_convolution(x, weights, None, name="c", padding=(1, 1, 1, 1))
y = network.add_leaky_relu(layer.output, slope=0.1).output
y = network.add_concatenation([x, y], y, axis=1).output
y = network.add_upsample(y, scales=2, mode="linear").output
y = network.add_cast(network.add_add(y, np.float32(1.5)).output, to="int32").output
network.add_if(True, x, then_body=plugrt.Network(), else_body=plugrt.Network())
network.add_acme_own(x, anything=1)
network.mark_output(y)
engine: plugrt.Engine = plugrt.build(network)
'''
WRONG = '''
import numpy as np
import plugrt

network = plugrt.Network()
x = network.add_input("x", "float32", ["N", 4, 8, 8])
network.add_convolution(x)  # wrong: weights are missing
network.add_convolution(x, x, stride=(2, 2))  # wrong: no such attribute
network.add_leaky_relu(x, slope="steep")  # wrong: not a number
network.add_leaky_relu(x, 0.1)  # wrong: attributes are keywords
network.add_relu(input=x)  # wrong: inputs are positional
network.add_upsample(x, mode="cubic")  # wrong: not allowed
network.add_max_pooling(x)  # wrong: kernel is required
tensor: plugrt.Tensor = network.add_relu(x)  # wrong: a layer
network.add_relu(network.add_relu(x))  # wrong: takes a tensor
'''


def mypy_errors(program: str) -> set[int]:
    """Lines of a program that mypy --strict complains of."""
    output, problem, _ = api.run(["--config-file=", "--strict", "-c", program])
    assert not problem, problem
    return {int(number) for number in re.findall(r"^<string>:(\d+): error", output, re.M)}


def test_mypy_takes_right_uses_and_refuses_wrong_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # for the cache that linting has left there
    monkeypatch.setenv("MYPYPATH", str(ROOT / "typings"))
    assert mypy_errors(RIGHT) == set()
    lines = WRONG.splitlines()
    wrong = {number for number, line in enumerate(lines, start=1) if "# wrong" in line}
    assert mypy_errors(WRONG) == wrong
