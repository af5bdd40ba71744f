"""The sections of a definition that become layers, one class each."""

from __future__ import annotations

from collections.abc import Mapping

from .base import COMMON_OPTIONS, Blob, DarknetLayer
from .batch_normalization import EPSILONS, BatchNorm
from .combining import Route, ScaleChannels, SpatialAttention
from .connected import Connected
from .convolutional import Convolutional
from .detection import Region, Yolo
from .functions import ActivationLayer, Contrastive, Cost, Dropout, Logistic, Noise, Nothing
from .gaussian_yolo import GaussianYolo
from .implicit import Implicit
from .normalizing import EuclideanNorm, ResponseNorm
from .pooling import AveragePool, LocalAveragePool, MaxPool
from .reorg import Reorg, Reorg3d
from .resampling import Crop, Upsample
from .shortcut import Shortcut
from .softmax import Softmax
from .yolo_v1 import Detection

_ALL: tuple[type[DarknetLayer], ...] = (
    ActivationLayer, AveragePool, BatchNorm, Connected, Contrastive, Convolutional, Cost, Crop,
    Detection, Dropout, EuclideanNorm, GaussianYolo, Implicit, LocalAveragePool, Logistic, MaxPool,
    Noise, Nothing, Region, Reorg, Reorg3d, ResponseNorm, Route, ScaleChannels, Shortcut, Softmax,
    SpatialAttention, Upsample, Yolo,
)  # fmt: skip

SECTIONS: Mapping[str, type[DarknetLayer]] = {name: layer for layer in _ALL for name in layer.names}
"""Layer classes by the section's name, aliases included."""

__all__ = ["COMMON_OPTIONS", "EPSILONS", "SECTIONS", "Blob", "DarknetLayer"]
