"""A network as a list of steps with weights, independent of any framework.

Values are named by the step that makes them; "image" is the input. Weights are drawn in the
order of the steps from one seeded generator, scaled so that activations keep their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

EPSILON = 1e-5


@dataclass
class Step:
    """One operation. `kind` is the name of the Recipe's method that made it."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)


class Recipe:
    """Steps of one network and the channels of every value."""

    def __init__(self, channels: int, height: int, width: int, seed: int = 0) -> None:
        self.input_shape = (channels, height, width)
        self.steps: list[Step] = []
        self.outputs: list[str] = []
        self.ranks = {"image": 4}
        self._channels = {"image": channels}
        self._random = np.random.default_rng(seed)

    def convolution(
        self, x: str, filters: int, kernel: int, stride: int = 1, *,
        depthwise: bool = False, normalise: bool = True, activation: str | None = "leaky",
        padding: int | None = None,
    ) -> str:  # fmt: skip
        """Convolution, then batch norm or bias, then leaky, relu, relu6 or nothing. Half the
        kernel is padding where `padding` does not say otherwise."""
        channels = self._channels[x]
        groups = channels if depthwise else 1
        shape = (filters, channels // groups, kernel, kernel)
        weights = self._weights(shape)
        if normalise:
            weights |= self._normalization(filters)
        else:
            weights["bias"] = _normal(self._random, (filters,), 0.1)
        options = {
            "stride": stride, "pad": kernel // 2 if padding is None else padding,
            "groups": groups, "activation": activation,
        }  # fmt: skip
        return self._step("convolution", (x,), filters, options, weights)

    def fully_connected(self, x: str, outputs: int, inputs: int, *, relu: bool = False) -> str:
        """Inner product of everything behind the batch, with bias."""
        weights = self._weights((outputs, inputs))
        weights["bias"] = _normal(self._random, (outputs,), 0.1)
        return self._step("fully_connected", (x,), outputs, {"relu": relu}, weights)

    def max_pooling(
        self, x: str, kernel: int, stride: int, before: int | None = None,
        after: int | None = None, *, ceil: bool = False,
    ) -> str:  # fmt: skip
        """Max pooling; without `before` and `after` as Darknet's: kernel - 1 cells of padding,
        the smaller half in front."""
        if before is None or after is None:
            before, after = (kernel - 1) // 2, kernel - 1 - (kernel - 1) // 2
        options = {"kernel": kernel, "stride": stride, "before": before, "after": after,
                   "ceil": ceil}  # fmt: skip
        return self._step("max_pooling", (x,), self._channels[x], options)

    def global_average(self, x: str) -> str:
        """The mean of each channel, [N, C, 1, 1]."""
        return self._step("global_average", (x,), self._channels[x])

    def response_normalization(self, x: str) -> str:
        """Caffe's LRN with the parameters of GoogLeNet."""
        options = {"size": 5, "alpha": 1e-4, "beta": 0.75}
        return self._step("response_normalization", (x,), self._channels[x], options)

    def space_to_depth(self, x: str, block: int) -> str:
        """Pixels to channels, block by block as ONNX SpaceToDepth."""
        channels = self._channels[x] * block * block
        return self._step("space_to_depth", (x,), channels, {"block": block})

    def relu(self, x: str) -> str:
        """max(x, 0)."""
        return self._step("relu", (x,), self._channels[x])

    def softmax(self, x: str) -> str:
        """Along the channels."""
        return self._step("softmax", (x,), self._channels[x])

    def add(self, x: str, y: str) -> str:
        """Element-wise sum."""
        return self._step("add", (x, y), self._channels[x])

    def concatenation(self, values: Sequence[str]) -> str:
        """Concatenation along the channels."""
        return self._step("concatenation", tuple(values), sum(self._channels[v] for v in values))

    def upsample(self, x: str, scale: int) -> str:
        """Nearest-neighbour upsampling."""
        return self._step("upsample", (x,), self._channels[x], {"scale": scale})

    def output(self, x: str) -> None:
        """Mark an output."""
        self.outputs.append(x)

    def image(self, batch: int, seed: int = 1) -> np.ndarray:
        """A random input in [0, 1)."""
        return np.random.default_rng(seed).random((batch, *self.input_shape), np.float32)

    def _weights(self, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        fan_in = int(np.prod(shape[1:]))
        return {"weights": _normal(self._random, shape, np.sqrt(2 / fan_in))}

    def _normalization(self, channels: int) -> dict[str, np.ndarray]:
        draw = self._random
        return {
            "scale": draw.uniform(0.5, 1.5, channels).astype(np.float32),
            "shift": _normal(draw, (channels,), 0.1),
            "mean": _normal(draw, (channels,), 0.1),
            "variance": draw.uniform(0.5, 2, channels).astype(np.float32),
        }

    def _step(
        self, kind: str, inputs: tuple[str, ...], channels: int,
        options: dict[str, Any] | None = None, weights: dict[str, np.ndarray] | None = None,
    ) -> str:  # fmt: skip
        name = f"{len(self.steps):03d}_{kind}"
        self.steps.append(Step(name, kind, inputs, options or {}, weights or {}))
        self._channels[name] = channels
        self.ranks[name] = 2 if kind == "fully_connected" else self.ranks[inputs[0]]
        return name


def _normal(draw: np.random.Generator, shape: tuple[int, ...], scale: float) -> np.ndarray:
    return (draw.standard_normal(shape) * scale).astype(np.float32)
