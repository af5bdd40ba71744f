"""The layer in an engine: built, saved, loaded and run."""

from __future__ import annotations

from collections.abc import Iterable

from plugrt.core.builder import BuilderConfig, build
from plugrt.core.engine import Engine
from plugrt.core.graph import Network, Tensor
from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    Array,
    DataType,
    Expression,
    Input,
    PluginError,
    PlugrtError,
    PointwiseLayer,
    attribute,
)
from plugrt.plugins.expression import maximum

from ..cases import Case
from ..comparison import compare
from ..outcome import CheckFailure, NotApplicable
from ..subject import Subject


class Leak(PointwiseLayer):
    """max(x, slope * x): a pointwise neighbour that the layer may fuse with."""

    type = "plugrt.testing.Leak"
    slope = attribute(float, 0.25)

    def pointwise(self) -> Expression:
        return maximum(Input(0), Input(0) * self.slope)


def through_an_engine(subject: Subject) -> None:
    """A network of the layer and a pointwise one, fused and not, built and loaded again."""
    for role in ("copy", "reformat"):
        try:
            subject.registry.by_role(role)
        except PluginError as error:
            raise NotApplicable(f"engines need more of the registry: {error}") from None
    registry = Registry(subject.registry)
    registry.register(Leak)
    for case in subject.main_cases:
        expected = subject.expected(case)
        network, followed = network_of(case, registry)
        wanted = [Leak().reference(expected[:1])[0] if followed else expected[0], *expected[1:]]
        for fusion in (False, True):
            where = f"{case} in an engine, fusion {'on' if fusion else 'off'}"
            config = BuilderConfig(threads=2, tune="off", fusion=fusion)
            try:
                _run(network, case, config, registry, wanted, where)
            except PlugrtError as error:
                raise CheckFailure(f"{where}: {error}") from error


def network_of(case: Case, registry: Registry) -> tuple[Network, bool]:
    """A network of the case's layer; with Leak behind output 0 (then True) where it is float."""
    network = Network("conformance", registry)
    tensors: list[Tensor] = [
        network.add_constant(f"constant{index}", array)
        if index in case.constants
        else network.add_input(f"input{index}", DataType.of(array.dtype), array.shape)
        for index, array in enumerate(case.inputs)
    ]
    outputs = list(network.add_layer(case.layer(), tensors, name="layer").outputs)
    followed = outputs[0].dtype is DataType.FLOAT32
    if followed:
        outputs[0] = network.add_layer(Leak(), [outputs[0]], name="leak").output
    for index, tensor in enumerate(outputs):
        network.mark_output(tensor, f"output{index}")
    return network, followed


def _run(
    network: Network,
    case: Case,
    config: BuilderConfig,
    registry: Registry,
    expected: list[Array],
    where: str,
) -> None:
    inputs = {f"input{index}": case.inputs[index] for index in case.activations}
    names = network.output_names
    with build(network, config) as engine, engine.create_context() as context:
        built = _in_order(context.execute(inputs), names)
        plan = engine.to_bytes()
    compare(built, expected, where, case.tolerance)
    with Engine.from_bytes(plan, registry) as loaded, loaded.create_context() as context:
        again = _in_order(context.execute(inputs), names)
    for index, (left, right) in enumerate(zip(built, again, strict=True)):
        if left.tobytes() != right.tobytes():
            raise CheckFailure(f"{where}: output {index} differs when the plan is loaded")


def _in_order(outputs: dict[str, Array], names: Iterable[str]) -> list[Array]:
    return [outputs[name] for name in names]
