"""Loop: a body that runs again and again on the values it carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..plugins import (
    DataType,
    DimLike,
    Graph,
    LayerPlugin,
    Shape,
    ShapeError,
    Stream,
    TensorDesc,
    attribute,
    data_dependent,
)
from ..plugins.native import copying
from .body_signature import bind_inputs, output_shape, require_equal
from .shape_arithmetic import known_dims
from .workspace import WorkspaceParts, aligned, workspace_size

ITERATION = TensorDesc(DataType.INT64, ())
CONDITION = TensorDesc(DataType.BOOL, ())
UNLIMITED = 2**63 - 1


class _Scratch(NamedTuple):
    """Tensors in the workspace: what the body is told, and where it writes."""

    iteration: TensorDesc
    condition: TensorDesc
    next_condition: TensorDesc
    carried: Sequence[TensorDesc]
    elements: Sequence[TensorDesc]

    @property
    def all(self) -> list[TensorDesc]:
        """Every tensor in order."""
        return [*self[:3], *self.carried, *self.elements]


class Loop(LayerPlugin):
    """Runs `body` while its condition holds, at most `maximum` times. ONNX Loop.

    Inputs: maximum (int64 scalar) and condition (bool scalar), each may be absent; the first
    values of the `carried` values; captures. The body takes (iteration int64 scalar, condition
    bool scalar, carried values..., captures...) and gives (condition, carried values...,
    elements to stack...). Outputs: the last carried values; for each of the `stacked` elements
    all of them as [K, ...]; and, where there are such, K as an int64 scalar.

    Carried values keep type and shape. With stacked outputs `maximum` must be constant or
    computed from sizes, as it bounds K. Raises ShapeError when body and inputs do not fit.
    """

    type = "Loop"
    input_names = ("maximum?", "condition?", "values*")
    recordable = True
    devices = ("cpu", "cuda")
    body: attribute[Graph] = attribute(Graph, doc="what to repeat")
    carried = attribute(
        int, 0, "number of carried values", allowed=lambda count: count >= 0, rule="0 and above"
    )
    stacked = attribute(
        int, 0, "number of stacked outputs", allowed=lambda count: count >= 0, rule="0 and above"
    )

    def getNbOutputs(self) -> int:
        return self.carried + self.stacked + bool(self.stacked)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        maximum = inputs[0] if inputs else None
        sizes = self._check(inputs)
        if index < self.carried:
            return tuple(inputs[2 + index].shape)
        if index == self.carried + self.stacked:
            return ()
        element = output_shape(self.body, index + 1, sizes)
        return (data_dependent(_bound(maximum), self.carried + self.stacked), *element)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        if index == self.carried + self.stacked:
            return DataType.INT64
        return self.body.output_descs[index + 1].dtype

    def _check(self, inputs: Sequence[TensorDesc]) -> Any:
        """The sizes of the body's symbols, when everything fits."""
        for desc, wanted in zip(inputs[:2], (ITERATION, CONDITION), strict=False):
            if desc is not None and (
                desc.dtype is not wanted.dtype or any(size != 1 for size in desc.shape)
            ):
                raise ShapeError(f"Loop: {desc} is given where a scalar {wanted} is wanted")
        results = self.body.output_descs
        if len(results) != 1 + self.carried + self.stacked:
            raise ShapeError(
                f"Loop: the body has {len(results)} outputs; carried={self.carried} and "
                f"stacked={self.stacked} need {1 + self.carried + self.stacked}: the condition, "
                "the carried values, the elements to stack"
            )
        sizes = bind_inputs(self.type, self.body, (ITERATION, CONDITION, *inputs[2:]))
        first = [CONDITION, *inputs[2 : 2 + self.carried]]
        for k, desc in enumerate(first):
            what = "the condition" if k == 0 else f"carried value {k - 1} before and after a run"
            given = TensorDesc(results[k].dtype, output_shape(self.body, k, sizes))
            require_equal(self.type, what, desc, given)
        return sizes

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        (maximum, condition), values = _optional(inputs), inputs[2:]
        limit = UNLIMITED if maximum is None else int(np.asarray(maximum).reshape(()))
        going = True if condition is None else bool(np.asarray(condition).reshape(()))
        carried, captures = values[: self.carried], values[self.carried :]
        rows: list[list[Any]] = [[] for _ in range(self.stacked)]
        run = 0
        while run < limit and going:
            told = (np.array(run, np.int64), np.array(going))
            results: list[Any] = self.body.reference([*told, *carried, *captures])
            going = bool(np.asarray(results[0]).reshape(()))
            carried = results[1 : 1 + self.carried]
            for row, element in zip(rows, results[1 + self.carried :], strict=True):
                row.append(element)
            run += 1
        stacks = [
            np.stack(row) if row else self._empty(k, values) for k, row in enumerate(rows)
        ]
        count = [np.array(run, np.int64)] if self.stacked else []
        return [*carried, *stacks, *count]

    def _empty(self, stack: int, values: Sequence[Any]) -> Any:
        """A stacked output without rows."""
        descs = [TensorDesc(DataType.of(value.dtype), value.shape) for value in values]
        sizes = bind_inputs(self.type, self.body, (ITERATION, CONDITION, *descs))
        index = 1 + self.carried + stack
        shape = (0, *output_shape(self.body, index, sizes))
        return np.empty(shape, self.body.output_descs[index].dtype.numpy)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        own = workspace_size(self._scratch(outputs).all)
        return own + aligned(self.body.workspace_size(self._body_inputs(inputs)))

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        (maximum, condition), values = _optional(inputs), inputs[2:]
        finals = outputs[: self.carried]
        stacks = outputs[self.carried : self.carried + self.stacked]
        scratch = self._scratch([view.desc for view in outputs])
        parts = WorkspaceParts(workspace)
        iteration, going, next_going, *results = (parts.take(desc) for desc in scratch.all)
        size = self.body.workspace_size(self._body_inputs([view and view.desc for view in inputs]))
        rest = parts.bytes(size)

        if condition is None:
            condition = stream.store.pack(("plugrt.Loop", "true"), lambda: np.array(True))
        copying.record(stream, condition, replace(going, desc=condition.desc))
        # The carried values live in the outputs: the body reads them there, writes their
        # successors to the workspace, and after each run these are copied back.
        for value, final in zip(values, finals, strict=False):
            if value.ref != final.ref:
                copying.record(stream, value, final)
        commands = stream.record(
            self.body,
            [iteration, going, *finals, *values[self.carried :]],
            [next_going, *results],
            rest,
        )
        stream.repeat(
            commands,
            maximum=UNLIMITED if maximum is None else maximum,
            condition=going,
            iteration=iteration,
            carried=[(next_going, going), *zip(results, finals, strict=False)],
            stacked=list(zip(results[self.carried :], stacks, strict=True)),
            count=outputs[-1] if self.stacked else None,
        )

    def _body_inputs(self, inputs: Sequence[TensorDesc]) -> list[TensorDesc]:
        return [ITERATION, CONDITION, *inputs[2:]]

    def _scratch(self, outputs: Sequence[TensorDesc]) -> _Scratch:
        finals = outputs[: self.carried]
        stacks = outputs[self.carried : self.carried + self.stacked]
        return _Scratch(
            ITERATION,
            CONDITION,
            CONDITION,
            [TensorDesc(desc.dtype, desc.shape) for desc in finals],
            [TensorDesc(desc.dtype, desc.shape[1:]) for desc in stacks],
        )


def _optional(inputs: Sequence[Any]) -> Sequence[Any]:
    """The maximum and the condition, None where absent."""
    return [*inputs[:2], None, None][:2]


def _bound(maximum: TensorDesc | None) -> DimLike:
    """The most runs of a loop with stacked outputs."""
    dims = known_dims(maximum)
    if dims is None:
        raise ShapeError(
            "Loop: stacked outputs need a maximum number of runs that is constant or computed "
            "from sizes; give one as the first input"
        )
    (bound,) = dims.reshape(-1)
    return max(bound, 0) if isinstance(bound, int) else bound
