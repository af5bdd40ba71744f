"""Normalization over the channels of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from plugrt.plugins import Array, Shape, ShapeError, Stream, TensorDesc, attribute, format_shape

from .float_layer import FloatLayer
from .kernels import kernel

KINDS = ("positive", "softmax", "shifted_softmax", "euclidean")
"""In the order of enum yolo_channel_kind in kernels.h."""

EPSILON = 1e-4


class ChannelNormalization(FloatLayer):
    """[N, C, ...] -> the same, float32: what pixels have in their channels, to one size.

    `kind` is one of Darknet's: positive, max(x, 0) / (1e-4 + sum of max(x, 0))
    (normalize_channels); softmax, exp(x) / (1e-4 + sum of exp(x)) (normalize_channels_softmax);
    shifted_softmax, the same of x - max(x) (normalize_channels_softmax_maxval); euclidean,
    x / |x|, and 0 where |x| is 0 ([l2norm]). Raises ShapeError without channels.

    Source: the activations and the l2norm layer of the two Darknets.
    """

    type = "Darknet.ChannelNormalization"
    devices = ("cpu", "cuda")

    kind = attribute(str, "positive", "what the channels are divided by", allowed=KINDS)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        if inputs[0].rank < 2:
            raise ShapeError(
                f"{self.type}: the input {format_shape(inputs[0].shape)} has no channels; give "
                "[N, C, ...]"
            )
        return inputs[0].shape

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        if stream.device == "cuda":
            from . import channels_cuda

            channels_cuda.record(KINDS.index(self.kind), inputs[0], outputs[0], stream)
            return
        images, channels, *spatial = inputs[0].shape
        stream.launch(
            kernel("yolo_normalize_channels"),
            inputs[0],
            outputs[0],
            images,
            channels,
            prod(spatial),
            KINDS.index(self.kind),
        )

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        x: Array = np.asarray(inputs[0], np.float64)
        if self.kind == "euclidean":
            length = np.sqrt((x * x).sum(axis=1, keepdims=True))
            result = x / np.where(length == 0, 1, length)
        else:
            if self.kind == "shifted_softmax":
                x = x - x.max(axis=1, keepdims=True)
            positive = np.maximum(x, 0) if self.kind == "positive" else np.exp(x)
            result = positive / (EPSILON + positive.sum(axis=1, keepdims=True))
        return [result.astype(inputs[0].dtype)]

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        values = np.random.default_rng(0).standard_normal((2, 5, 7, 11), np.float32)
        values[0, :, 0, 0] = 0.0
        return [
            *({"inputs": [values], "attributes": {"kind": kind}} for kind in KINDS),
            {"inputs": [values[:, :, 0, 0]], "attributes": {"kind": "euclidean"}},
        ]
