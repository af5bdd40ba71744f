"""Benchmark networks, each written once and built from one seed for plugrt, ONNX and torch."""

from benchmarks.nets.recipe import Recipe
from benchmarks.nets.yolo_fastest import yolo_fastest
from benchmarks.nets.yolov3_tiny import yolov3_tiny

NETS = {"yolo-fastest": yolo_fastest, "yolov3-tiny": yolov3_tiny}

__all__ = ["NETS", "Recipe"]
