"""How well a detector does on labelled pictures: mean average precision, and how sure it is.

from yolo_example.evaluation import evaluate, read_dataset

result = evaluate(detector, read_dataset(Path("coco.yaml")))
print(result.map_50, result.map_50_interval)
"""

from .bootstrap import CONFIDENCE, Interval
from .class_mapping import ClassMapping, map_by_name, read_renaming, same_classes
from .dataset import Dataset, LabelledPicture, read_dataset
from .evaluating import PictureDetector, evaluate, map_classes
from .labels import LabelledBox, label_path, read_labels
from .result import ClassResult, Evaluation

__all__ = [
    "CONFIDENCE", "ClassMapping", "ClassResult", "Dataset", "Evaluation", "Interval",
    "LabelledBox", "LabelledPicture", "PictureDetector", "evaluate", "label_path", "map_by_name",
    "map_classes", "read_dataset", "read_labels", "read_renaming", "same_classes",
]  # fmt: skip
