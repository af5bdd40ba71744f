"""A small plan of NumPy-only layers, and ways to take plans apart and forge them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from plugrt.core.builder import BuilderConfig, build
from plugrt.core.engine.container import BLOCK_BYTES, read_container, write_container
from plugrt.core.engine.plan import read_plan, write_plan
from plugrt.core.graph import Network
from plugrt.core.runtime.context import ExecutionContext
from plugrt.core.runtime.weight_store import PackedWeights
from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    Alias,
    DataType,
    LayerPlugin,
    PlanError,
    Shape,
    SliceOf,
    Tactic,
    TacticRequest,
    TensorDesc,
    ViewOf,
    attribute,
    data_dependent,
    product,
)

JSON_SECTIONS = ("info", "requires", "graph", "tuning")


class Affine(LayerPlugin):
    """y = factor * x + shift[C]; takes epilogues, and may write over its input."""

    type = "Test.Affine"
    version = "2.1"
    input_names = ("x", "shift")
    factor = attribute(float, 1.0, "factor")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return (
            Tactic("in place", may_alias=frozenset({0}), priority=1),
            Tactic("plain"),
        )

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] * np.float32(self.factor) + inputs[1]]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        own = len(inputs) - self.epilogue.operands
        result = inputs[0] * np.float32(self.factor) + inputs[1]
        outputs[0][...] = self.epilogue.apply(result, inputs[own:])


class Join(LayerPlugin):
    """Concatenation along axis 0, where inputs may be written in place."""

    type = "Test.Join"
    input_names = ("inputs*",)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        total = sum((desc.shape[0] for desc in inputs[1:]), inputs[0].shape[0])
        return (total, *inputs[0].shape[1:])

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        starts = np.cumsum([0, *(desc.sizes[0] for desc in inputs)])
        return [SliceOf(k, 0, 0, int(starts[k])) for k in range(len(inputs))]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = np.concatenate([np.array(item) for item in inputs])


class Flat(LayerPlugin):
    """All elements on one axis; a view where memory allows it."""

    type = "Test.Flat"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return (product(inputs[0].shape),)

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        return [ViewOf(0, 0)]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0].reshape(-1)


class Positive(LayerPlugin):
    """The elements above zero, and how many there are."""

    type = "Test.Positive"

    def getNbOutputs(self) -> int:
        return 2

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return () if index else (data_dependent(inputs[0].shape[0], 1),)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return DataType.INT64 if index else inputTypes[0]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        found = inputs[0][inputs[0] > 0]
        outputs[0][: found.size] = found
        outputs[1][...] = found.size


LAYERS = (Affine, Join, Flat, Positive)


def local_registry() -> Registry:
    """The installed plug-ins and the layers above."""
    registry = Registry(Registry.default())
    for layer in LAYERS:
        registry.register(layer)
    return registry


def small_network() -> Network:
    """Every kind of layer once: constants, an epilogue, slices, a view, a data-dependent size."""
    network = Network("small", local_registry())
    x = network.add_input("x", "float32", ["N", 3])
    shift = np.arange(3, dtype=np.float32)
    left = network.add_layer("Test.Affine", [x, shift], name="left", factor=2.0).output
    right = network.add_layer("Test.Affine", [x, shift], name="right", factor=-1.5).output
    right = network.add_layer("ReLU", [right], name="relu").output
    joined = network.add_layer("Test.Join", [left, right], name="joined").output
    flat = network.add_layer("Test.Flat", [joined], name="flat").output
    network.mark_output(network.add_layer("Test.Positive", [flat], name="positive").output, "y")
    return network


def small_reference(x: Any) -> Any:
    """What the small network computes."""
    shift = np.arange(3, dtype=np.float32)
    right = np.maximum(x * np.float32(-1.5) + shift, 0)
    flat = np.concatenate([x * np.float32(2) + shift, right]).reshape(-1)
    return flat[flat > 0]


def plan_of(network: Network, **options: Any) -> bytes:
    """The plan of a network, built without measurements."""
    engine = build(network, BuilderConfig(tune="off", threads=1, **options))
    return write_plan(engine.planned, engine.info)


def run_plan(plan: bytes, registry: Registry, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs of a plan, by the NumPy layers' own code."""
    planned, _ = read_plan(plan, registry)
    with ExecutionContext(planned, PackedWeights(), 1) as context:
        return context.execute(inputs)


def forge(plan: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A plan with other contents and right checksums.

    `change` gets the sections by name, those of JSON as values, and changes them in place.
    """
    sections: dict[str, Any] = {
        name: json.loads(bytes(section)) if name in JSON_SECTIONS else bytes(section)
        for name, section in read_container(memoryview(plan)).items()
    }
    change(sections)
    return write_container(
        {
            name: [section if isinstance(section, bytes) else json.dumps(section).encode()]
            for name, section in sections.items()
        }
    )


def sign(plan: bytearray) -> bytes:
    """Recompute all checksums as docs/engine-format.md says, whatever the lengths say."""
    (count,) = struct.unpack_from("<I", plan, 12)
    table = 64 + 64 * count
    for entry in range(64, min(table, len(plan) - 63), 64):
        offset, length = struct.unpack_from("<QQ", plan, entry + 16)
        padded = -(-length // 64) * 64
        plan[entry + 32 : entry + 64] = _digest(plan[offset : offset + padded])
    plan[32:64] = _digest(plan[:32] + plan[64:table])
    return bytes(plan)


def _digest(data: bytes | bytearray) -> bytes:
    blocks = (data[start : start + BLOCK_BYTES] for start in range(0, len(data), BLOCK_BYTES))
    return sha256(b"".join(crc32(block).to_bytes(4, "little") for block in blocks)).digest()


def refusal(plan: bytes, registry: Registry) -> str:
    """The text of the PlanError for a plan, which must be one line."""
    with pytest.raises(PlanError) as caught:
        read_plan(plan, registry)
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert len(text) < 1000
    return text


class Kit:
    """What tests in this folder share; they cannot import from each other."""

    local_registry = staticmethod(local_registry)
    small_network = staticmethod(small_network)
    small_reference = staticmethod(small_reference)
    plan_of = staticmethod(plan_of)
    run_plan = staticmethod(run_plan)
    forge = staticmethod(forge)
    sign = staticmethod(sign)
    refusal = staticmethod(refusal)
    Affine = Affine
    Positive = Positive


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """The functions of this file."""
    return Kit


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The installed plug-ins and the test layers."""
    return local_registry()


@pytest.fixture(scope="session")
def small_plan() -> bytes:
    """The plan of `small_network`, for batches of 1 to 4."""
    return plan_of(small_network(), max_batch_size=4)
