"""The sections of a definition that become layers, one class each."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Blob, DarknetLayer
from .batch_normalization import EPSILONS, BatchNorm
from .combining import Route, ScaleChannels, Shortcut, SpatialAttention
from .connected import Connected
from .convolutional import Convolutional
from .detection import Region, Yolo
from .functions import ActivationLayer, Cost, Dropout, Softmax
from .pooling import AveragePool, MaxPool
from .resampling import Reorg, Reorg3d, Upsample

_ALL: tuple[type[DarknetLayer], ...] = (
    ActivationLayer, AveragePool, BatchNorm, Connected, Convolutional, Cost, Dropout, MaxPool,
    Region, Reorg, Reorg3d, Route, ScaleChannels, Shortcut, Softmax, SpatialAttention, Upsample,
    Yolo,
)  # fmt: skip

SECTIONS: Mapping[str, type[DarknetLayer]] = {name: layer for layer in _ALL for name in layer.names}
"""Layer classes by the section's name, aliases included."""

__all__ = ["EPSILONS", "SECTIONS", "Blob", "DarknetLayer"]
