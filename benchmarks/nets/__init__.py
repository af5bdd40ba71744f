"""Benchmark networks, each written once and built from one seed for plugrt, ONNX and torch."""

from benchmarks.nets.googlenet import googlenet
from benchmarks.nets.lenet import lenet
from benchmarks.nets.mobilenetv2 import mobilenetv2
from benchmarks.nets.recipe import Recipe
from benchmarks.nets.resnet50 import resnet50
from benchmarks.nets.squeezenet import squeezenet
from benchmarks.nets.yolo_fastest import yolo_fastest
from benchmarks.nets.yolov2 import yolov2
from benchmarks.nets.yolov3 import yolov3
from benchmarks.nets.yolov3_tiny import yolov3_tiny

NETS = {
    "lenet": lenet,
    "mobilenetv2": mobilenetv2,
    "squeezenet1.1": squeezenet,
    "googlenet": googlenet,
    "resnet50": resnet50,
    "yolo-fastest": yolo_fastest,
    "yolov3-tiny": yolov3_tiny,
    "yolov2": yolov2,
    "yolov3": yolov3,
}

__all__ = ["NETS", "Recipe"]
