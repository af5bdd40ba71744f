"""Whatever a plug-in raises, and wherever: the message names the layer and the method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, LayerPlugin, Network, PluginError, ShapeError
from plugrt.plugins import (
    Alias,
    Combination,
    Expression,
    LayerNode,
    Patch,
    RangeRule,
    SameRange,
    Shape,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
)

Build = Callable[..., Engine]


X = np.zeros(2, np.float32)


class Raising(LayerPlugin):
    """Raises in the method that `method` names: a bug, or an error of plugrt's."""

    type = "Test.Raising"
    input_names = ("x", "constant")
    method = attribute(str, doc="where it raises")
    planned = attribute(bool, False, "whether it raises ShapeError")

    def _reach(self, method: str) -> None:
        if method == self.method:
            raise ShapeError("too odd") if self.planned else AttributeError("a bug")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def supportsFormat(self, combination: Combination) -> bool:
        self._reach("supportsFormat")
        return super().supportsFormat(combination)

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.epilogue:
            self._reach("getTactics of an epilogue")
        self._reach("getTactics")
        return super().getTactics(request)

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        self._reach("aliases")
        return ()

    def pointwise(self) -> Expression | None:
        self._reach("pointwise")
        return None

    def outputRange(self, index: int) -> RangeRule:
        self._reach("outputRange")
        return SameRange(0)

    def inputQuantization(self, index: int, inputs: Sequence[TensorDesc]) -> Any | None:
        self._reach("inputQuantization")
        return None

    def rewrite(self, view: LayerNode) -> Patch | None:
        self._reach("rewrite")
        return None

    def serialize(self) -> bytes:
        self._reach("serialize")
        return super().serialize()

    def setTactic(self, tactic: Tactic) -> None:
        self._reach("setTactic")
        super().setTactic(tactic)

    def configure(self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> None:
        self._reach("configure")

    def initialize(self) -> None:
        self._reach("initialize")

    def getWorkspaceSize(self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> int:
        self._reach("getWorkspaceSize")
        return 0

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0]


METHODS = (
    "supportsFormat", "getTactics", "getTactics of an epilogue", "aliases", "configure",
    "initialize", "getWorkspaceSize", "pointwise", "outputRange", "inputQuantization", "rewrite",
    "serialize", "setTactic",
)  # fmt: skip


@pytest.mark.parametrize("tune", ["fast", "off"])
@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_the_layer_is_named(
    network: Network, quick_build: Build, method: str, planned: bool, tune: str
) -> None:
    x = network.add_input("x", "float32", ["N"])
    source = network.add_abs(x).output
    source.set_quantization(0.1)
    culprit = Raising(method=method, planned=planned)
    y = network.add_layer(culprit, [source, X], name="culprit").output
    network.mark_output(network.add_relu(y).output, "y")
    error, message = (ShapeError, "too odd") if planned else (PluginError, "AttributeError: a bug")
    if method == "rewrite":
        error = PluginError  # a patch is the layer's own business

    def use() -> None:
        with quick_build(network, tune=tune, precision="int8").create_context() as context:
            context.execute({"x": X})

    with pytest.raises(error, match=rf"layer 'culprit' \(Test.Raising\): .*{message}") as caught:
        use()
    assert str(caught.value).count("culprit") == 1


class ParticularError(ShapeError):
    """An error that its maker tells more than a text."""

    def __init__(self, text: str, size: int) -> None:
        super().__init__(text)
        self.size = size


class OfParticularShape(LayerPlugin):
    """Takes no input."""

    type = "Test.OfParticularShape"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        raise ParticularError("no such size", 7)


def test_errors_of_a_plugins_own_keep_their_type(network: Network) -> None:
    x = network.add_input("x", "float32", ["N"])
    with pytest.raises(ParticularError, match=r"layer 'culprit' .*no such size; ") as caught:
        network.add_layer(OfParticularShape(), [x], name="culprit")
    assert caught.value.size == 7
