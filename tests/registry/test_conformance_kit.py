"""The conformance kit finds what is wrong: each layer here breaks the contract in one way."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    Combination,
    Expression,
    Graph,
    Input,
    LayerPlugin,
    PointwiseLayer,
    Shape,
    ShapeError,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
)
from plugrt.plugins.expression import maximum
from plugrt.testing import CHECKS, LayerReport, check_layer


class Twice(LayerPlugin):
    """A right NumPy layer."""

    type = "Test.Twice"
    factor = attribute(float, 2.0)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] * np.float32(self.factor)]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        np.multiply(inputs[0], np.float32(self.factor), out=outputs[0])


class Steep(PointwiseLayer):
    """A right recordable layer."""

    type = "Test.Steep"

    def pointwise(self) -> Expression:
        return maximum(Input(0), Input(0) * 0.125)


def check(layer: type[LayerPlugin], *names: str) -> LayerReport:
    return check_layer(layer, Registry(), names or None)


def statuses(report: LayerReport) -> dict[str, str]:
    return {result.check: result.status for result in report.results}


def failure(layer: type[LayerPlugin], name: str) -> str:
    """The message of the one check that is run, which must fail."""
    (result,) = check(layer, name).results
    assert result.status == "failed", result
    return result.message


# ---- right layers ---------------------------------------------------------------------------


def test_a_right_numpy_layer_passes() -> None:
    report = check(Twice)
    assert report.passed, report
    found = statuses(report)
    assert set(found) == set(CHECKS)
    for name in ("every tactic and format", "replay", "random shapes", "leaks", "clone"):
        assert found[name] == "passed", name
    assert found["slices of larger tensors"] == "skipped"


def test_a_right_recordable_layer_passes() -> None:
    report = check(Steep)
    assert report.passed, report
    found = statuses(report)
    for name in ("slices of larger tensors", "fusion on and off", "16-bit floats", "recordable"):
        assert found[name] == "passed", name


def test_a_report_survives_json() -> None:
    report = check(Twice, "clone", "int8")
    assert LayerReport.from_dict(report.as_dict()) == report


# ---- cases ----------------------------------------------------------------------------------


def test_a_layers_own_examples_are_used() -> None:
    class Picky(Twice):
        def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
            if tuple(inputs[0].shape) != (3, 5, 7):
                raise ShapeError("Picky: only 3x5x7")
            return inputs[0].shape

    assert "exampleCases()" in check(Picky).problem
    assert not check(Picky).passed

    class Helpful(Picky):
        @classmethod
        def exampleCases(cls) -> list[Any]:
            array = np.ones((3, 5, 7), np.float32)
            return [{"inputs": [array], "attributes": {"factor": 3.0}}]

    report = check(Helpful)
    assert report.passed, report
    assert report.cases == ("(float32[3x5x7]) factor=3.0",)


def test_malformed_examples_are_told() -> None:
    class Careless(Twice):
        @classmethod
        def exampleCases(cls) -> list[Any]:
            return [{"attributes": {}}]

    assert "item 0 is malformed" in check(Careless).problem


def test_attributes_and_weights_are_found_by_trying() -> None:
    class Project(LayerPlugin):
        type = "Test.Project"
        input_names = ("input", "weights", "bias?")
        axes = attribute(tuple[int, ...])
        rounding = attribute(str, "none", allowed=("none", "half even"))

        def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
            data, weights, *bias = inputs
            if len(self.axes) != 2 or data.rank != 2 or weights.rank != 2:
                raise ShapeError("ranks")
            if data.shape[1] != weights.shape[1] or (bias and bias[0].shape != weights.shape[:1]):
                raise ShapeError("sizes")
            if not weights.is_constant:
                raise ShapeError("weights must be constant")
            return (data.shape[0], weights.shape[0])

        def reference(self, inputs: Sequence[Any]) -> list[Any]:
            result = inputs[0] @ inputs[1].T + (inputs[2] if len(inputs) > 2 else 0)
            return [np.rint(result) if self.rounding == "half even" else result]

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
            outputs[0][...] = self.reference(inputs)[0]

    report = check(Project)
    assert report.passed, report
    assert any("float32[8]" in case for case in report.cases)
    assert any("rounding='half even'" in case for case in report.cases)


# ---- wrong layers ---------------------------------------------------------------------------


class WrongShape(Twice):
    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return (*inputs[0].shape, 1)


class NoSymbols(Twice):
    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return tuple(int(size) for size in inputs[0].shape)  # type: ignore[arg-type]


class ForgetsSymbols(Twice):
    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return tuple(size if isinstance(size, int) else 7 for size in inputs[0].shape)


class WrongResult(Twice):
    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        np.multiply(inputs[0], 2.001, out=outputs[0])


class Raises(Twice):
    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        raise ValueError("out of luck")


class WrongInWideTensors(Twice):
    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        super().enqueue(inputs, outputs, workspace, stream)
        if inputs[0].ndim and inputs[0].shape[-1] in (7, 8, 9):
            outputs[0].reshape(-1)[-1] = 0


class TakesTooMuch(Twice):
    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        if inputs[0].ndim and inputs[0].shape[-1] > 8 and inputs[0].shape[-1] != 12:
            raise ValueError("too wide")
        return super().reference(inputs)


class Remembers(Twice):
    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        known = self.__dict__.setdefault("known", inputs[0] * np.float32(self.factor))
        outputs[0][...] = known


class Drifts(Twice):
    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        super().enqueue(inputs, outputs, workspace, stream)
        self.__dict__["factor"] += 1e-9


class UsesOneScratch(Twice):
    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        self.__dict__["scratch"] = inputs[0] * np.float32(self.factor)
        threading.Event().wait(0.001)
        outputs[0][...] = self.__dict__["scratch"]


class MixesTheBatch(Twice):
    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        super().enqueue(inputs, outputs, workspace, stream)
        if inputs[0].ndim and inputs[0].shape[0] == 1:
            outputs[0][...] += 1


class LongerThanItSays(Twice):
    def getSerializationSize(self) -> int:
        return 3


class Forgetful(Twice):
    @classmethod
    def exampleCases(cls) -> list[Any]:
        return [{"inputs": [np.ones(4, np.float32)], "attributes": {"factor": 5.0}}]

    @classmethod
    def deserialize(cls, state: bytes, version: int) -> LayerPlugin:
        return cls()


class TrustsItsState(Twice):
    @classmethod
    def deserialize(cls, state: bytes, version: int) -> LayerPlugin:
        return cls(factor=float(state.decode()))

    def serialize(self) -> bytes:
        return str(self.factor).encode()


class ClonesItself(Twice):
    def clone(self, **changes: Any) -> Any:
        return self


class TerminatesOnce(Twice):
    def initialize(self) -> None:
        self.__dict__["handle"] = object()

    def terminate(self) -> None:
        del self.__dict__["handle"]


class StaysAlive(Twice):
    alive: list[Any] = []

    def initialize(self) -> None:
        self.alive.append(self)


class KeepsMemory(Twice):
    kept: list[Any] = []

    def initialize(self) -> None:
        self.kept.append(bytearray(100_000))


class KeepsFiles(Twice):
    files: list[Any] = []

    def initialize(self) -> None:
        self.files.append(open("/dev/null"))  # noqa: SIM115


class SameTacticTwice(Twice):
    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return (Tactic("one"), Tactic("one"))


class OddRole(Twice):
    role = "speed"


class OptionalFirst(Twice):
    input_names = ("weights?", "input")


class IgnoresStrides(Steep):
    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        view = outputs[0]
        dense = replace(view, desc=replace(view.desc, strides=None))
        super().enqueue(inputs, [dense], workspace, stream)


class IgnoresTheEpilogue(Twice):
    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return (Tactic("all"),)


class WrongInIntegers(Twice):
    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] + inputs[0]]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        np.add(inputs[0], inputs[0], out=outputs[0])
        if outputs[0].dtype == np.int64:
            outputs[0][...] += 1


class IgnoresScales(Twice):
    def supportsFormat(self, combination: Combination) -> bool:
        return all(t.format.value == "linear" for t in (*combination.inputs, *combination.outputs))

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = (inputs[0].astype(np.float32) * 2).astype(outputs[0].dtype)


@pytest.mark.parametrize(
    ("layer", "check_name", "text"),
    [
        (WrongShape, "output shapes", "is 2x16x6x5x1, but the reference's output is 2x16x6x5"),
        (NoSymbols, "symbolic shapes", "cannot take symbolic sizes"),
        (ForgetsSymbols, "symbolic shapes", "which is 7x16x6x5 here"),
        (WrongResult, "every tactic and format", "elements, first at ["),
        (Raises, "every tactic and format", "out of luck"),
        (WrongInWideTensors, "random shapes", "differs in 1 of"),
        (TakesTooMuch, "random shapes", "reference() raises ValueError: too wide"),
        (Remembers, "replay", "replayed on other data"),
        (Drifts, "shared by two contexts", "attributes changed at inference"),
        (UsesOneScratch, "shared by two contexts", "two contexts at once"),
        (MixesTheBatch, "batch invariance", "alone and in its batch"),
        (LongerThanItSays, "serialise and deserialise", "getSerializationSize() is 3"),
        (Forgetful, "serialise and deserialise", "attribute factor is 2.0 instead of 5.0"),
        (TrustsItsState, "damaged state", "raise PlanError"),
        (ClonesItself, "clone", "no new ClonesItself"),
        (TerminatesOnce, "terminate", "terminate() without initialize()"),
        (StaysAlive, "leaks", "kept alive"),
        (KeepsMemory, "leaks", "bytes stay allocated"),
        (KeepsFiles, "leaks", "files stay open"),
        (SameTacticTwice, "contract", "two tactics are called 'one'"),
        (OddRole, "contract", "role is 'speed'"),
        (OptionalFirst, "contract", "optional ones come last"),
        (IgnoresStrides, "slices of larger tensors", ""),
        (IgnoresTheEpilogue, "fusion on and off", "with epilogue (relu)"),
        (WrongInIntegers, "integers", "int64[2x16x6x5]"),
        (IgnoresScales, "int8", "steps of its scale off"),
    ],
)
def test_a_broken_layer_is_caught(layer: type[LayerPlugin], check_name: str, text: str) -> None:
    assert text in failure(layer, check_name)


# ---- engines --------------------------------------------------------------------------------


class Identity(PointwiseLayer):
    type = "Test.Copy"
    role = "copy"

    def pointwise(self) -> Expression:
        return Input(0)


class Reformat(Identity):
    type = "Test.Reformat"
    role = "reformat"


class ForgetsItsState(Forgetful):
    """Right as it is built, another after saving and loading."""


class DiffersByLoad(Twice):
    """Slightly different in every engine."""

    loads = 0

    def initialize(self) -> None:
        type(self).loads += 1
        self.__dict__["drift"] = np.float32(1 + 1e-6 * type(self).loads)

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        super().enqueue(inputs, outputs, workspace, stream)
        outputs[0][...] *= self.__dict__["drift"]


def test_layers_are_tried_in_an_engine() -> None:
    registry = Registry()
    name = "through an engine"
    (result,) = check_layer(Steep, registry, [name]).results
    assert result.status == "skipped"
    assert "no layer has the role 'copy'" in result.message
    registry.register(Identity)
    registry.register(Reformat)
    for layer in (Twice, Steep):
        (result,) = check_layer(layer, registry, [name]).results
        assert result.status == "passed", result
    for wrong, text in (
        (WrongResult, "in an engine, fusion off: output 0 differs in"),
        (ForgetsItsState, "in an engine"),
        (DiffersByLoad, "output 0 differs when the plan is loaded"),
    ):
        (result,) = check_layer(wrong, registry, [name]).results
        assert result.status == "failed"
        assert text in result.message


# ---- casts ----------------------------------------------------------------------------------


class Cast(LayerPlugin):
    """A right cast in NumPy; its scales are those of `configure`."""

    type = "Test.Cast"
    role = "cast"
    forgotten = 0

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def supportsFormat(self, combination: Combination) -> bool:
        tensors = (*combination.inputs, *combination.outputs)
        return all(t.format.value == "linear" for t in tensors)

    def configure(self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> None:
        self.__dict__["scales"] = [inputs[0].quantization, outputs[0].quantization]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        before, after = self.__dict__["scales"]
        value = inputs[0].astype(np.float32)
        if before is not None:
            scale, zero = self.along_axis(before)
            value = (value - zero + self.forgotten) * scale
        if after is not None:
            scale, zero = self.along_axis(after)
            limits = np.iinfo(outputs[0].dtype)
            value = np.clip(np.rint(value / scale) + zero, limits.min, limits.max)
        outputs[0][...] = value.astype(outputs[0].dtype)

    @staticmethod
    def along_axis(quantization: Any) -> tuple[Any, Any]:
        shape = (1, -1, 1, 1) if quantization.axis == 1 else (1,)
        zero = np.broadcast_to(quantization.zero_point, len(quantization.scale))
        return np.reshape(quantization.scale, shape), zero.reshape(shape)


class CastOffByTwo(Cast):
    forgotten = 2


class CastOfNothing(Cast):
    def supportsFormat(self, combination: Combination) -> bool:
        return False


def test_casts_are_tried_between_types_and_scales() -> None:
    assert statuses(check(Cast, "casts")) == {"casts": "passed"}
    assert statuses(check(Twice, "casts")) == {"casts": "skipped"}
    assert "int8" in failure(CastOffByTwo, "casts")
    assert "accepts none" in failure(CastOfNothing, "casts")


# ---- hints ----------------------------------------------------------------------------------


def test_a_layer_that_could_be_recordable_gets_a_hint() -> None:
    class Shy(Steep):
        recordable = False

    class Expressed(Twice):
        def pointwise(self) -> Expression:
            return Input(0) * self.factor

    class Records(Shy):
        """Records, but hides that it is an expression."""

        def pointwise(self) -> Any:
            return None

        def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
            return inputs[0].shape

        def reference(self, inputs: Sequence[Any]) -> list[Any]:
            return Steep().reference(inputs)

        def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
            return Steep().getTactics(request)

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
            Steep().enqueue(inputs, outputs, workspace, stream)

    for layer, text in ((Expressed, "PointwiseLayer"), (Records, "set `recordable = True`")):
        report = check(layer, "recordable")
        (result,) = report.results
        assert result.status == "hint"
        assert text in result.message
        assert report.passed
    assert statuses(check(Twice, "recordable")) == {"recordable": "skipped"}


def test_integers_that_mean_nothing_get_a_hint() -> None:
    (result,) = check(Twice, "integers").results
    assert result.status == "hint"
    assert "accepts int32, int64" in result.message


def test_layers_with_bodies_have_cases() -> None:
    class Either(LayerPlugin):
        type = "Test.Either"
        input_names = ("condition", "captures*")
        then_body = attribute(Graph)
        else_body = attribute(Graph)

        def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
            return self.then_body.output_descs[index].shape

        def getOutputDataType(self, index: int, inputTypes: Any) -> Any:
            return self.then_body.output_descs[index].dtype

        def reference(self, inputs: Sequence[Any]) -> list[Any]:
            body = self.then_body if inputs[0] else self.else_body
            return body.reference(inputs[1:])

    report = check(Either, "output shapes", "every tactic and format", "clone")
    assert report.passed, report
    assert len(report.cases) == 2
    assert statuses(report)["output shapes"] == "passed"
    assert statuses(report)["every tactic and format"] == "skipped"
