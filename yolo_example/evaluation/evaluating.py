"""A detector measured on labelled pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from PIL import Image

from plugrt.plugins import ModelError

from ..detection import Detection, Timing
from ..detection.reading import READERS, batched, read_ahead
from ..replacing import FileError
from .average_precision import PlacedBox, Precision, average_precision, mean_precision
from .bootstrap import draw_weights, interval, resampled_means
from .class_mapping import ClassMapping, map_by_name, same_classes
from .dataset import Dataset, LabelledPicture, check_classes
from .result import ClassResult, Evaluation

THRESHOLD = 0.001
"""Boxes of hardly any certainty count too: average precision asks at every recall."""
OVERLAP = 0.45
SAMPLES = 1000


class PictureDetector(Protocol):
    """What is measured: a `Detector`, or anything else that does the same."""

    @property
    def names(self) -> Sequence[str]:
        """Of its classes; may be empty."""

    @property
    def batch_size(self) -> int:
        """How many pictures it takes at once."""

    @property
    def timing(self) -> Timing:
        """Of the last call."""

    def detect_many(
        self, pictures: Iterable[Image.Image], threshold: float, overlap: float, /
    ) -> list[list[Detection]]:
        """The objects in each picture."""


def map_classes(
    detector: PictureDetector, dataset: Dataset, *, by_number: bool = False
) -> ClassMapping:
    """How classes correspond: by name; by number where `by_number` or one side has no names.

    Raises ModelError where nothing does, or a label is beyond the classes.
    """
    if detector.names and dataset.names and not by_number:
        return map_by_name(detector.names, dataset.names)
    names = dataset.names or tuple(detector.names)
    if names:
        for picture in dataset.pictures:
            check_classes(picture, len(names), "the plan")
        return same_classes(names)
    count = 1 + max((b.class_index for p in dataset.pictures for b in p.boxes), default=0)
    return same_classes([f"class {index}" for index in range(count)])


def evaluate(
    detector: PictureDetector,
    dataset: Dataset,
    *,
    threshold: float = THRESHOLD,
    overlap: float = OVERLAP,
    mapping: ClassMapping | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    advance: Callable[[int], None] = lambda pictures: None,
) -> Evaluation:
    """Detect in every picture and compare with its labels.

    `mapping` None is `map_classes`. `samples` is the number of resamplings for the intervals, 0
    for none; equal seeds give equal intervals. `advance` is told of every batch of pictures.

    Raises FileError for a picture that cannot be read, ModelError where the labels show nothing
    of the classes, PluginError where pycocotools is not installed.
    """
    mapping = mapping or map_classes(detector, dataset)
    classes = sorted(mapping.names)
    objects = sum(box.class_index in mapping.names for p in dataset.pictures for box in p.boxes)
    if not objects:
        raise ModelError("the dataset's labels show no object of the plan's classes")
    labels, detections = [], []
    preparation = network = boxes = 0.0
    for batch in batched(_read(dataset), detector.batch_size):
        found = detector.detect_many([picture for _, picture in batch], threshold, overlap)
        detections += [list(_mapped(one, mapping)) for one in found]
        labels += [list(_placed(labelled, *p.size, mapping)) for labelled, p in batch]
        preparation += detector.timing.preparation
        network += detector.timing.network
        boxes += detector.timing.boxes
        advance(len(batch))
    precision = average_precision(labels, detections, classes)
    means = resampled_means(precision, draw_weights(len(labels), samples, seed))
    return Evaluation(
        map_50=mean_precision(precision.average[0]),
        map=mean_precision(precision.average),
        map_50_interval=interval(means[:, 0]),
        map_interval=interval(means.mean(axis=1)),
        samples=samples,
        classes=tuple(_class_results(precision, [mapping.names[index] for index in classes])),
        images=len(labels),
        objects=objects,
        timing=Timing(preparation, network, boxes),
        mapping=mapping,
    )


def _read(dataset: Dataset) -> Iterator[tuple[LabelledPicture, Image.Image]]:
    paths = (picture.path for picture in dataset.pictures)
    for labelled, (_, picture) in zip(
        dataset.pictures, read_ahead(paths, 2 * READERS), strict=True
    ):
        if isinstance(picture, FileError):
            raise picture
        yield labelled, picture


def _mapped(found: Iterable[Detection], mapping: ClassMapping) -> Iterator[PlacedBox]:
    for one in found:
        if one.class_index in mapping.to_dataset:
            yield PlacedBox(mapping.to_dataset[one.class_index], one.box, one.score)


def _placed(
    labelled: LabelledPicture, width: int, height: int, mapping: ClassMapping
) -> Iterator[PlacedBox]:
    for box in labelled.boxes:
        if box.class_index in mapping.names:
            left = (box.centre_x - box.width / 2) * width
            top = (box.centre_y - box.height / 2) * height
            corners = (left, top, left + box.width * width, top + box.height * height)
            yield PlacedBox(box.class_index, corners)


def _class_results(precision: Precision, names: Sequence[str]) -> Iterator[ClassResult]:
    for name, values, matches in zip(names, precision.average.T, precision.matches, strict=True):
        if objects := int(matches.labels.sum()):
            yield ClassResult(name, objects, float(values[0]), float(values.mean()))
