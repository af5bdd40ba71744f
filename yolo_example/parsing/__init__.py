"""Reading Darknet models."""

from .darknet_parser import DarknetParser
from .model_reader import DarknetModel, read_model
from .weights_file import NEW_HEADER, OLD_HEADER, WeightsFile, WeightsHeader

__all__ = [
    "NEW_HEADER", "OLD_HEADER", "DarknetModel", "DarknetParser", "WeightsFile", "WeightsHeader",
    "read_model",
]  # fmt: skip
