"""If: one of two bodies, chosen by the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plugins import DataType, Graph, LayerPlugin, Shape, ShapeError, Stream, TensorDesc, attribute
from .body_signature import bind_inputs, output_shape, require_equal
from .workspace import WorkspaceParts, aligned


class If(LayerPlugin):
    """The outputs of `then_body` where the bool `condition` is true, else of `else_body`.

    ONNX If. Both bodies take all captures as inputs, in order, and agree in number, types and
    shapes of their outputs. The choice is made on the device, within the recording. Raises
    ShapeError when bodies and captures do not fit.
    """

    type = "If"
    input_names = ("condition", "captures*")
    recordable = True
    devices = ("cpu", "cuda")
    then_body: attribute[Graph] = attribute(Graph, doc="what to do where the condition is true")
    else_body: attribute[Graph] = attribute(Graph, doc="what to do where it is not")

    @property
    def bodies(self) -> tuple[Graph, Graph]:
        """Both bodies, in the order of `Stream.branch`."""
        return self.then_body, self.else_body

    def getNbOutputs(self) -> int:
        return len(self.then_body.output_descs)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        condition, *captures = inputs
        if condition.dtype is not DataType.BOOL or any(size != 1 for size in condition.shape):
            raise ShapeError(
                f"If: the condition is {condition}; give a bool scalar, for example by a comparison"
            )
        if len(self.then_body.output_descs) != len(self.else_body.output_descs):
            raise ShapeError(
                f"If: then_body has {len(self.then_body.output_descs)} outputs and else_body "
                f"{len(self.else_body.output_descs)}; they must have as many"
            )
        results = []
        for body in self.bodies:
            shape = output_shape(body, index, bind_inputs(self.type, body, captures))
            results.append(TensorDesc(body.output_descs[index].dtype, shape))
        require_equal(self.type, f"output {index} of the two bodies", *results)
        return results[0].shape

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return self.then_body.output_descs[index].dtype

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        condition, *captures = inputs
        body = self.then_body if np.asarray(condition).reshape(()) else self.else_body
        return body.reference(captures)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        # Only one body runs, so that both may use the same memory.
        return aligned(max(body.workspace_size(inputs[1:]) for body in self.bodies))

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        condition, *captures = inputs
        lists = []
        for body in self.bodies:
            size = body.workspace_size([view.desc for view in captures])
            lists.append(
                stream.record(body, captures, outputs, WorkspaceParts(workspace).bytes(size))
            )
        stream.branch(condition, lists)
