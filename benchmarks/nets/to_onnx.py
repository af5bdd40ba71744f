"""A recipe as an ONNX model, through onnx.helper."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.nets.recipe import EPSILON, Recipe, Step

OPSET = 17


def to_onnx(recipe: Recipe, batch: int | str = "N") -> onnx.ModelProto:
    """A checked model with input `image`."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    for step in recipe.steps:
        _add(nodes, constants, step)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, *recipe.input_shape])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4)
        for name in recipe.outputs
    ]
    graph = helper.make_graph(nodes, "benchmark", [image], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _add(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], step: Step) -> None:
    options, name = step.options, step.name
    if step.kind == "convolution":
        _add_convolution(nodes, constants, step)
    elif step.kind == "max_pooling":
        before, after = options["before"], options["after"]
        nodes.append(
            helper.make_node(
                "MaxPool", step.inputs, [name], kernel_shape=[options["kernel"]] * 2,
                strides=[options["stride"]] * 2, pads=[before, before, after, after],
            )
        )  # fmt: skip
    elif step.kind == "add":
        nodes.append(helper.make_node("Add", step.inputs, [name]))
    elif step.kind == "concatenation":
        nodes.append(helper.make_node("Concat", step.inputs, [name], axis=1))
    else:
        scales = numpy_helper.from_array(
            np.asarray([1, 1, options["scale"], options["scale"]], np.float32), f"{name}.scales"
        )
        constants.append(scales)
        nodes.append(
            helper.make_node(
                "Resize", [step.inputs[0], "", scales.name], [name], mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor",
            )
        )  # fmt: skip


def _add_convolution(
    nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], step: Step
) -> None:
    for key, array in step.weights.items():
        constants.append(numpy_helper.from_array(array, f"{step.name}.{key}"))
    options, current = step.options, step.name
    pending = []
    inputs = [step.inputs[0], f"{step.name}.weights"]
    if "bias" in step.weights:
        inputs.append(f"{step.name}.bias")
    pending.append(
        ("Conv", inputs, {"strides": [options["stride"]] * 2, "pads": [options["pad"]] * 4,
                          "group": options["groups"]})
    )  # fmt: skip
    if "scale" in step.weights:
        parameters = [f"{step.name}.{k}" for k in ("scale", "shift", "mean", "variance")]
        pending.append(("BatchNormalization", parameters, {"epsilon": EPSILON}))
    if options["slope"] is not None:
        pending.append(("LeakyRelu", [], {"alpha": options["slope"]}))
    for position, (kind, rest, attributes) in enumerate(pending):
        last = position == len(pending) - 1
        output = step.name if last else f"{step.name}.{position}"
        given = rest if position == 0 else [current, *rest]
        nodes.append(helper.make_node(kind, given, [output], **attributes))
        current = output

