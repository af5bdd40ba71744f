"""Reading Darknet models."""

from .darknet_parser import DarknetParser
from .end_to_end import end_to_end, why_not_end_to_end
from .model_reader import DarknetModel, read_model
from .weights_file import NEW_HEADER, OLD_HEADER, WeightsFile, WeightsHeader

__all__ = [
    "NEW_HEADER", "OLD_HEADER", "DarknetModel", "DarknetParser", "WeightsFile", "WeightsHeader",
    "end_to_end", "read_model", "why_not_end_to_end",
]  # fmt: skip
