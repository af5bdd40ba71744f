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
    """One operation. `kind` is convolution, max_pooling, add, concatenation or upsample."""

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
        self._channels = {"image": channels}
        self._random = np.random.default_rng(seed)

    def convolution(
        self, x: str, filters: int, kernel: int, stride: int = 1, *,
        depthwise: bool = False, normalise: bool = True, slope: float | None = 0.1,
    ) -> str:  # fmt: skip
        """Convolution with Darknet's padding, then batch norm or bias, then leaky ReLU
        (`slope` None: linear)."""
        channels = self._channels[x]
        groups = channels if depthwise else 1
        shape = (filters, channels // groups, kernel, kernel)
        fan_in = shape[1] * kernel * kernel
        draw = self._random
        weights = {"weights": _normal(draw, shape, np.sqrt(2 / fan_in))}
        if normalise:
            weights["scale"] = draw.uniform(0.5, 1.5, filters).astype(np.float32)
            weights["shift"] = _normal(draw, (filters,), 0.1)
            weights["mean"] = _normal(draw, (filters,), 0.1)
            weights["variance"] = draw.uniform(0.5, 2, filters).astype(np.float32)
        else:
            weights["bias"] = _normal(draw, (filters,), 0.1)
        options = {"stride": stride, "pad": kernel // 2, "groups": groups, "slope": slope}
        return self._step("convolution", (x,), filters, options, weights)

    def max_pooling(self, x: str, kernel: int, stride: int) -> str:
        """Darknet's max pooling: kernel - 1 cells of padding, the smaller half in front."""
        total = kernel - 1
        options = {"kernel": kernel, "stride": stride, "before": total // 2,
                   "after": total - total // 2}  # fmt: skip
        return self._step("max_pooling", (x,), self._channels[x], options)

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

    def _step(
        self, kind: str, inputs: tuple[str, ...], channels: int,
        options: dict[str, Any] | None = None, weights: dict[str, np.ndarray] | None = None,
    ) -> str:  # fmt: skip
        name = f"{len(self.steps):03d}_{kind}"
        self.steps.append(Step(name, kind, inputs, options or {}, weights or {}))
        self._channels[name] = channels
        return name


def _normal(draw: np.random.Generator, shape: tuple[int, ...], scale: float) -> np.ndarray:
    return (draw.standard_normal(shape) * scale).astype(np.float32)
