"""A recipe as a torch module (torch is not needed by anything else here)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn import functional

from benchmarks.nets.recipe import EPSILON, Recipe, Step


class RecipeModule(torch.nn.Module):
    """Runs the steps of a recipe; outputs in the recipe's order.

    With `folded`, batch normalisations are part of the convolutions' weights.
    """

    def __init__(self, recipe: Recipe, folded: bool = False) -> None:
        super().__init__()
        self.recipe = recipe
        for step in recipe.steps:
            weights = _folded(step.weights) if folded and "scale" in step.weights else step.weights
            for key, array in weights.items():
                self.register_buffer(f"s{step.name}_{key}", torch.from_numpy(array))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        values = {"image": image}
        for step in self.recipe.steps:
            run = getattr(self, f"_{step.kind}")
            values[step.name] = run(step, *(values[name] for name in step.inputs))
        return [values[name] for name in self.recipe.outputs]

    def _of(self, step: Step) -> dict[str, torch.Tensor]:
        names = {key: f"s{step.name}_{key}" for key in (*step.weights, "bias")}
        return {key: getattr(self, name) for key, name in names.items() if hasattr(self, name)}

    def _convolution(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        weights, options = self._of(step), step.options
        x = functional.conv2d(
            x, weights["weights"], weights.get("bias"), options["stride"], options["pad"],
            groups=options["groups"],
        )  # fmt: skip
        if "scale" in weights:
            x = functional.batch_norm(
                x, weights["mean"], weights["variance"], weights["scale"], weights["shift"],
                eps=EPSILON,
            )  # fmt: skip
        if options["activation"] == "leaky":
            return functional.leaky_relu(x, 0.1)
        if options["activation"] == "relu":
            return functional.relu(x)
        return functional.relu6(x) if options["activation"] == "relu6" else x

    def _fully_connected(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        weights = self._of(step)
        x = functional.linear(x.flatten(1), weights["weights"], weights["bias"])
        return functional.relu(x) if step.options["relu"] else x

    def _max_pooling(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        options = step.options
        before, after = options["before"], options["after"]
        if before or after:
            x = functional.pad(x, (before, after) * 2, value=float("-inf"))
        return functional.max_pool2d(
            x, options["kernel"], options["stride"], ceil_mode=options["ceil"]
        )

    def _global_average(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(x, 1)

    def _response_normalization(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        options = step.options
        return functional.local_response_norm(x, options["size"], options["alpha"], options["beta"])

    def _space_to_depth(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        images, channels, height, width = x.shape
        block = step.options["block"]
        x = x.reshape(images, channels, height // block, block, width // block, block)
        x = x.permute(0, 3, 5, 1, 2, 4)
        return x.reshape(images, -1, height // block, width // block)

    def _relu(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x)

    def _softmax(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return functional.softmax(x, 1)

    def _add(self, step: Step, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y

    def _concatenation(self, step: Step, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(inputs, 1)

    def _upsample(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=step.options["scale"], mode="nearest")


def _folded(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    factor = weights["scale"] / np.sqrt(weights["variance"] + EPSILON)
    offset = weights.get("bias", 0.0) - weights["mean"]
    return {
        "weights": weights["weights"] * factor[:, None, None, None],
        "bias": weights["shift"] + offset * factor,
    }
