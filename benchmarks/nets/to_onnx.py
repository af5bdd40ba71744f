"""A recipe as an ONNX model, through onnx.helper."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.nets.recipe import EPSILON, Recipe, Step

OPSET = 17

Chain = list[tuple[str, list[str], dict[str, Any]]]
"""Nodes one behind the other: operator, inputs, attributes."""


def to_onnx(recipe: Recipe, batch: int | str = "N") -> onnx.ModelProto:
    """A checked model with input `image`."""
    writer = _Writer()
    for step in recipe.steps:
        writer.add(step)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, *recipe.input_shape])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * recipe.ranks[name])
        for name in recipe.outputs
    ]
    graph = helper.make_graph(writer.nodes, "benchmark", [image], outputs, writer.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    return model


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, step: Step) -> None:
        """One method per kind of step; the last node of its chain bears the step's name."""
        for key, array in step.weights.items():
            self.constants.append(numpy_helper.from_array(array, f"{step.name}.{key}"))
        chain: Chain = getattr(self, f"_{step.kind}")(step)
        for position, (kind, inputs, attributes) in enumerate(chain):
            last = position == len(chain) - 1
            output = step.name if last else f"{step.name}.{position}"
            if position:
                inputs = [f"{step.name}.{position - 1}", *inputs]
            self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def _constant(self, name: str, value: Any) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def _convolution(self, step: Step) -> Chain:
        options = step.options
        inputs = [step.inputs[0], f"{step.name}.weights"]
        if "bias" in step.weights:
            inputs.append(f"{step.name}.bias")
        chain: Chain = [
            ("Conv", inputs, {"strides": [options["stride"]] * 2, "pads": [options["pad"]] * 4,
                              "group": options["groups"]})
        ]  # fmt: skip
        if "scale" in step.weights:
            parameters = [f"{step.name}.{k}" for k in ("scale", "shift", "mean", "variance")]
            chain.append(("BatchNormalization", parameters, {"epsilon": EPSILON}))
        if options["activation"] == "leaky":
            chain.append(("LeakyRelu", [], {"alpha": 0.1}))
        elif options["activation"] == "relu":
            chain.append(("Relu", [], {}))
        elif options["activation"] == "relu6":
            limits = [
                self._constant(f"{step.name}.limit{value}", np.float32(value)) for value in (0, 6)
            ]
            chain.append(("Clip", limits, {}))
        return chain

    def _fully_connected(self, step: Step) -> Chain:
        inputs = [f"{step.name}.weights", f"{step.name}.bias"]
        chain: Chain = [
            ("Flatten", list(step.inputs), {"axis": 1}), ("Gemm", inputs, {"transB": 1})
        ]  # fmt: skip
        return [*chain, ("Relu", [], {})] if step.options["relu"] else chain

    def _max_pooling(self, step: Step) -> Chain:
        options = step.options
        before, after = options["before"], options["after"]
        attributes = {
            "kernel_shape": [options["kernel"]] * 2, "strides": [options["stride"]] * 2,
            "pads": [before, before, after, after], "ceil_mode": int(options["ceil"]),
        }  # fmt: skip
        return [("MaxPool", list(step.inputs), attributes)]

    def _global_average(self, step: Step) -> Chain:
        return [("GlobalAveragePool", list(step.inputs), {})]

    def _response_normalization(self, step: Step) -> Chain:
        return [("LRN", list(step.inputs), {**step.options, "bias": 1.0})]

    def _space_to_depth(self, step: Step) -> Chain:
        return [("SpaceToDepth", list(step.inputs), {"blocksize": step.options["block"]})]

    def _relu(self, step: Step) -> Chain:
        return [("Relu", list(step.inputs), {})]

    def _softmax(self, step: Step) -> Chain:
        return [("Softmax", list(step.inputs), {"axis": 1})]

    def _add(self, step: Step) -> Chain:
        return [("Add", list(step.inputs), {})]

    def _concatenation(self, step: Step) -> Chain:
        return [("Concat", list(step.inputs), {"axis": 1})]

    def _upsample(self, step: Step) -> Chain:
        scale = step.options["scale"]
        scales = self._constant(f"{step.name}.scales", np.float32([1, 1, scale, scale]))
        return [
            ("Resize", [step.inputs[0], "", scales],
             {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
              "nearest_mode": "floor"})
        ]  # fmt: skip
