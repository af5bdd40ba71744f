"""Patches that layers and passes propose: applied, refused, or blamed on their author."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, LayerPlugin, Network, PluginError, Registry
from plugrt.core.passes.copying import copy_network
from plugrt.core.passes.simplify import simplify
from plugrt.plugins import LayerNode, NewTensor, PassPlugin, Patch, Shape, TensorDesc, attribute

Random = np.random.Generator
Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]


def simplified(network: Network) -> tuple[Network, list[str]]:
    """A simplified copy, and the report."""
    copy = copy_network(network)
    report: list[str] = []
    simplify(copy, report.append)
    return copy, report


def types(network: Network) -> list[str]:
    return [layer.plugin.type for layer in network.layers]


# ---- rewrites ---------------------------------------------------------------------------------


def test_batch_norm_folds_into_the_convolution(network: Network, rng: Random, agree: Run) -> None:
    x = network.add_input("x", "float32", ["N", 3, 7, 7])
    weights = rng.standard_normal((8, 3, 3, 3)).astype(np.float32)
    y = network.add_convolution(x, weights, name="conv", padding=(1,) * 4).output
    parameters = [rng.uniform(0.5, 2, 8).astype(np.float32) for _ in range(4)]
    y = network.add_batch_normalization(y, *parameters, name="norm").output
    network.mark_output(y)
    copy, _ = simplified(network)
    assert types(copy) == ["Convolution"]
    assert copy.outputs[0].name == "norm"  # the model's tensor keeps its name
    agree(network, {"x": rng.standard_normal((2, 3, 7, 7)).astype(np.float32)})


class Half(LayerPlugin):
    """x / 2. `rewrite` proposes what its attribute names."""

    type = "Test.Half"
    proposal = attribute(str, "nothing", "what rewrite does")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0] / 2

    def rewrite(self, view: LayerNode) -> Patch | None:
        x, y = view.inputs[0], view.outputs[0]
        assert x is not None
        patch = Patch()
        plain = Half()
        if self.proposal == "nothing":
            return None
        if self.proposal == "error":
            raise KeyError("of one's own")
        if self.proposal == "same":
            patch.replace(y, patch.add_layer(plain, [x], "same")[0])
        elif self.proposal == "longer":
            between = patch.add_layer(plain, [x], "one")[0]
            patch.replace(y, patch.add_layer(plain, [between], "two")[0])
        elif self.proposal == "shape":
            patch.replace(y, patch.add_constant("c", np.zeros(9, np.float32)))
        elif self.proposal == "type":
            patch.replace(y, patch.add_constant("c", np.zeros(y.desc.sizes, np.int32)))
        elif self.proposal == "foreign":
            patch.replace(y, patch.add_layer(plain, [NewTensor("c")], "new")[0])
        elif self.proposal == "drop":
            patch.replace(y, x)
        return patch


def halved(network: Network, proposal: str) -> Network:
    x = network.add_input("x", "float32", [4])
    y = network.add_layer(Half(proposal=proposal), [x], name="half").output
    network.mark_output(network.add_layer(Half(), [y], name="y").output)
    return network


@pytest.mark.parametrize("proposal", ["nothing", "same", "longer"])
def test_patches_that_lower_no_cost_are_refused(network: Network, proposal: str) -> None:
    copy, _ = simplified(halved(network, proposal))
    assert [layer.name for layer in copy.layers] == ["half", "y"]


def test_a_patch_may_drop_a_layer(network: Network) -> None:
    copy, report = simplified(halved(network, "drop"))
    assert [layer.name for layer in copy.layers] == ["y"]
    assert report == ["half: Test.Half, not needed: the same as x"]


@pytest.mark.parametrize(
    ("proposal", "message"),
    [("shape", r"'half'.*float32\[9\]"), ("type", r"int32\[4\]"), ("error", "KeyError"),
     ("foreign", "constant 'c' has no value")],
)  # fmt: skip
def test_patches_that_do_not_fit_are_errors(
    network: Network, quick_build: Build, proposal: str, message: str
) -> None:
    blamed = r"rewrite\(\) of layer 'half' \(Test.Half\): "
    with pytest.raises(PluginError, match=f"{blamed}.*{message}"):
        quick_build(halved(network, proposal))


# ---- passes -----------------------------------------------------------------------------------


class MergeHalves(PassPlugin):
    """Half(Half(x)) -> Quarter(x), over and over."""

    name = "merge halves"

    def run(self, layers: Sequence[LayerNode]) -> Iterable[Patch]:
        for layer in layers:
            source = layer.inputs[0].producer if layer.inputs[0] is not None else None
            if layer.plugin.type == "Test.Half" and source and source.plugin.type == "Test.Half":
                patch = Patch()
                scale = patch.add_constant("quarter", np.float32(0.25))
                (y,) = patch.add_layer(Times(), [source.inputs[0], scale], layer.name)
                patch.replace(layer.outputs[0], y)
                yield patch


class Times(LayerPlugin):
    """x * y with a scalar y."""

    type = "Test.Times"
    input_names = ("x", "y")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0] * inputs[1]


def chain(network: Network, count: int) -> Network:
    y = network.add_input("x", "float32", [4])
    for k in range(count):
        y = network.add_layer(Half(), [y], name=f"half{k}").output
    network.mark_output(y)
    return network


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_passes_of_a_registry(network: Network, registry: Registry, run: Run, count: int) -> None:
    """Several patches of one run concern the same layers; those that come too late are dropped,
    and the pass runs again until it finds nothing."""
    registry.register(MergeHalves)
    copy, report = simplified(chain(network, count))
    left = "".join("Q" if name == "Test.Times" else "H" for name in types(copy))
    assert 2 * left.count("Q") + left.count("H") == count
    assert "HH" not in left
    assert copy.outputs[0].name == f"half{count - 1}"
    assert set(report) == {"pass merge halves: graph rewritten"}
    found = run(network, {"x": np.ones(4, np.float32)})[f"half{count - 1}"]
    np.testing.assert_allclose(found, 0.5**count)


def test_a_pass_that_fails_is_named(
    network: Network, registry: Registry, quick_build: Build
) -> None:
    class Failing(PassPlugin):
        name = "failing"

        def run(self, layers: Sequence[LayerNode]) -> Iterable[Patch]:
            raise OSError("of one's own")

    registry.register(Failing)
    with pytest.raises(PluginError, match="pass 'failing': OSError: of one's own"):
        quick_build(chain(network, 1))


def test_passes_of_other_stages_are_left_alone(network: Network, registry: Registry) -> None:
    class Later(MergeHalves):
        name = "later"
        stage = "fuse"

    registry.register(Later)
    copy, _ = simplified(chain(network, 3))
    assert types(copy) == ["Test.Half"] * 3
