"""Darknet models as models of Caffe: `plugrt-yolo export-caffe`."""

from .exporter import ExportedModel, export_model
from .messages import MissingLibraryError

__all__ = ["ExportedModel", "MissingLibraryError", "export_model"]
