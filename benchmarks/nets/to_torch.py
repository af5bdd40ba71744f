"""A recipe as a torch module (torch is not needed by anything else here)."""

from __future__ import annotations

import torch
from torch.nn import functional

from benchmarks.nets.recipe import EPSILON, Recipe, Step


class RecipeModule(torch.nn.Module):
    """Runs the steps of a recipe; outputs in the recipe's order."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        for step in recipe.steps:
            for key, array in step.weights.items():
                self.register_buffer(f"s{step.name}_{key}", torch.from_numpy(array))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        values = {"image": image}
        for step in self.recipe.steps:
            values[step.name] = self._run(step, [values[name] for name in step.inputs])
        return [values[name] for name in self.recipe.outputs]

    def _run(self, step: Step, inputs: list[torch.Tensor]) -> torch.Tensor:
        options = step.options
        if step.kind == "convolution":
            return self._convolution(step, inputs[0])
        if step.kind == "max_pooling":
            before, after = options["before"], options["after"]
            padded = functional.pad(inputs[0], (before, after) * 2, value=float("-inf"))
            return functional.max_pool2d(padded, options["kernel"], options["stride"])
        if step.kind == "add":
            return inputs[0] + inputs[1]
        if step.kind == "concatenation":
            return torch.cat(inputs, 1)
        return functional.interpolate(inputs[0], scale_factor=options["scale"], mode="nearest")

    def _convolution(self, step: Step, x: torch.Tensor) -> torch.Tensor:
        weights = {key: getattr(self, f"s{step.name}_{key}") for key in step.weights}
        options = step.options
        x = functional.conv2d(
            x, weights["weights"], weights.get("bias"), options["stride"], options["pad"],
            groups=options["groups"],
        )  # fmt: skip
        if "scale" in weights:
            x = functional.batch_norm(
                x, weights["mean"], weights["variance"], weights["scale"], weights["shift"],
                eps=EPSILON,
            )  # fmt: skip
        return x if options["slope"] is None else functional.leaky_relu(x, options["slope"])
