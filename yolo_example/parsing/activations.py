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

    `power` is E[f(x)^2] for standard normal x, or that times the square of the number of
    channels where the function `joins_channels`: random weights are scaled by it.
    """

    layer: str | None
    power: float
    attributes: Mapping[str, Any] = field(default_factory=dict)
    joins_channels: bool = False

    def power_for(self, channels: int) -> float:
        """E[f(x)^2] for standard normal x in this many channels."""
        return self.power / channels**2 if self.joins_channels else self.power

    def write(self, writer: GraphWriter, tensor: Any, suffix: str = "") -> Any:
        """`tensor` activated; without a suffix the layer bears the section's name."""
        if self.layer is None:
            return tensor
        return writer.layer(self.layer, [tensor], suffix, **self.attributes)


LINEAR = Activation(None, 1.0)
LEAKY = Activation("LeakyReLU", 0.505, {"slope": 0.1})


def _over_channels(kind: str, power: float) -> Activation:
    return Activation("Darknet.ChannelNormalization", power, {"kind": kind}, joins_channels=True)


ACTIVATIONS: Mapping[str, Activation] = {
    "linear": LINEAR,
    "leaky": LEAKY,
    "revleaky": LEAKY,  # differs in training only
    "relu": Activation("ReLU", 0.5),
    "relu6": Activation("Clip", 0.5, {"minimum": 0.0, "maximum": 6.0}),
    "relie": Activation("LeakyReLU", 0.5, {"slope": 0.01}),
    "logistic": Activation("Sigmoid", 0.29),
    "loggy": Activation("Darknet.Loggy", 0.17),
    "tanh": Activation("Tanh", 0.39),
    "elu": Activation("Elu", 0.64),
    "selu": Activation("Selu", 1.0, {"alpha": 1.6732, "gamma": 1.0507}),
    "gelu": Activation("Gelu", 0.43, {"approximate": True}),
    "hardtan": Activation("Clip", 0.52, {"minimum": -1.0, "maximum": 1.0}),
    "lhtan": Activation("Darknet.Lhtan", 0.26),
    "plse": Activation("Darknet.Plse", 0.27),
    "ramp": Activation("Darknet.Ramp", 0.61),
    "stair": Activation("Darknet.Stair", 0.33),
    "mish": Activation("Mish", 0.45),
    "hard_mish": Activation("Darknet.HardMish", 0.56),
    "swish": Activation("Swish", 0.36),
    "normalize_channels": _over_channels("positive", 3.1),
    "normalize_channels_softmax": _over_channels("softmax", 2.7),
    "normalize_channels_softmax_maxval": _over_channels("shifted_softmax", 2.7),
}


def read_activation(
    options: OptionReader, default: str, *, may_join_channels: bool = False
) -> Activation:
    """The section's activation.

    Raises ModelError for one that Darknet does not know (it would take relu), and for those over
    channels, which it knows in [convolutional] only.
    """
    name = options.text("activation", default)
    found = ACTIVATIONS.get(name)
    if found is None or (found.joins_channels and not may_join_channels):
        known = ", ".join(
            sorted(n for n, a in ACTIVATIONS.items() if may_join_channels or not a.joins_channels)
        )
        raise options.error(
            "activation", f"activation={name!r} is not supported; use one of: {known}"
        )
    return found
