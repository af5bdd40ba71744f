"""Darknet's activation functions as plugrt layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .graph_writer import GraphWriter
from .option_reader import OptionReader


@dataclass(frozen=True)
class Activation:
    """A layer type with attributes; type None means nothing to do.

    `power` is E[f(x)^2] for standard normal x: random weights are scaled by it.
    """

    layer: str | None
    power: float
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def write(self, writer: GraphWriter, tensor: Any) -> Any:
        """`tensor` activated; the layer bears the section's name."""
        if self.layer is None:
            return tensor
        return writer.layer(self.layer, [tensor], **self.attributes)


LINEAR = Activation(None, 1.0)

ACTIVATIONS: Mapping[str, Activation] = {
    "linear": LINEAR,
    "leaky": Activation("LeakyReLU", 0.505, {"slope": 0.1}),
    "relu": Activation("ReLU", 0.5),
    "relu6": Activation("Clip", 0.5, {"minimum": 0.0, "maximum": 6.0}),
    "relie": Activation("LeakyReLU", 0.5, {"slope": 0.01}),
    "logistic": Activation("Sigmoid", 0.29),
    "tanh": Activation("Tanh", 0.39),
    "mish": Activation("Mish", 0.47),
    "swish": Activation("Swish", 0.36),
    "gelu": Activation("Gelu", 0.43, {"approximate": True}),
    "elu": Activation("Elu", 0.64),
    "selu": Activation("Selu", 1.0),
    "hardtan": Activation("Clip", 0.52, {"minimum": -1.0, "maximum": 1.0}),
    "ramp": Activation("Darknet.Ramp", 0.61),
    "loggy": Activation("Darknet.Loggy", 0.17),
}


def read_activation(options: OptionReader, default: str) -> Activation:
    """The section's activation. Raises ModelError for one that Darknet does not know."""
    name = options.text("activation", default)
    try:
        return ACTIVATIONS[name]
    except KeyError:
        known = ", ".join(sorted(ACTIVATIONS))
        raise options.error(
            "activation", f"activation={name!r} is not supported; use one of: {known}"
        ) from None
