"""[yolo] and [region]: the last layers of detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array

from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from .base import DarknetLayer

TRAINING_OPTIONS = frozenset({
    "absolute", "beta_nms", "bias_match", "class_scale", "classfix", "cls_normalizer",
    "coord_scale", "counters_per_class", "delta_normalizer", "dets_for_show", "dets_for_track",
    "embedding_layer", "focal_loss", "ignore_thresh", "iou_loss", "iou_normalizer",
    "iou_thresh", "iou_thresh_kind", "jitter", "label_smooth_eps", "log", "mask_scale", "max",
    "max_delta", "nms_kind", "noobject_scale", "obj_normalizer", "object_scale",
    "objectness_smooth", "onlyforward", "random", "rescore", "resize", "show_details",
    "sim_thresh", "sqrt", "track_ciou_norm", "track_history_size", "truth_thresh",
})  # fmt: skip


class _Detection(DarknetLayer):
    """What both have in common."""

    is_output = True
    ignored = TRAINING_OPTIONS

    def read_classes(self, options: OptionReader, anchors: int, coords: int) -> None:
        """Take the classes, and check that the input has their channels and the network's
        user their names."""
        self.classes = options.integer("classes", 20, minimum=1)
        if "map" in options:
            raise options.error("map", "a map of classes is not supported; delete the option")
        wanted = anchors * (coords + 1 + self.classes)
        if self.source.channels != wanted or self.source.flat:
            raise options.error(
                "classes",
                f"classes={self.classes} and {anchors} anchors need an input of {wanted} "
                f"channels, but it is {self.source}; correct filters= of the layer before",
            )
        names = self.settings.class_names
        if names and len(names) < self.classes:
            raise options.error(
                "classes",
                f"classes={self.classes}, but the file of names has {len(names)}; "
                "give the names this net was trained with",
            )

    def attributes(self) -> dict[str, Any]:
        """Attributes of both layers."""
        return {
            "classes": self.classes,
            "anchors": self.anchors,
            "names": self.settings.class_names[: self.classes],
            "letter_box": self.settings.letter_box,
        }

    anchors: tuple[float, ...]


def _complete_anchors(
    options: OptionReader, count: int, default: float | None
) -> tuple[float, ...]:
    """Width and height of `count` anchors; further ones are dropped, as in Darknet."""
    given = options.numbers("anchors")
    if not given and default is not None:
        return (default,) * (2 * count)
    if len(given) < 2 * count:
        raise options.error(
            "anchors",
            f"{len(given)} numbers are given, but num={count} anchors need {2 * count}",
        )
    anchors = given[: 2 * count]
    if min(anchors) < 0:
        raise options.error("anchors", f"anchors must not be negative: {min(anchors):g}")
    return anchors


class Yolo(_Detection):
    """The anchors `mask` of all anchors; sizes in pixels of the network's input."""

    names = ("yolo",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        total = options.integer("num", 1, minimum=1, maximum=1024)
        self.mask = options.integers("mask") or tuple(range(total))
        for value in self.mask:
            if not 0 <= value < total:
                raise options.error(
                    "mask", f"mask={value} names no anchor; write 0 to num-1 = {total - 1}"
                )
        self.anchors = _complete_anchors(options, total, 0.5)
        self.scale_x_y = options.number("scale_x_y", 1.0)
        self.new_coords = options.flag("new_coords")
        self.read_classes(options, len(self.mask), 4)

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return writer.layer(
            "Darknet.Yolo",
            inputs,
            mask=self.mask,
            image_size=self.settings.input.area,
            scale_x_y=self.scale_x_y,
            new_coords=self.new_coords,
            **self.attributes(),
        )


class Region(_Detection):
    """YOLOv2's layer; sizes of anchors in cells of its grid."""

    names = ("region",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        if "tree" in options:
            raise options.error("tree", "a tree of classes is not supported; only flat ones are")
        count = options.integer("num", 1, minimum=1, maximum=1024)
        coords = options.integer("coords", 4)
        if coords != 4:
            raise options.error("coords", f"coords={coords} is not supported; only 4 is")
        options.refuse({"background": 0})
        options.text("background")
        self.anchors = _complete_anchors(options, count, 0.5)
        self.softmax = options.flag("softmax")
        self.threshold = options.number("thresh", 0.5)
        self.read_classes(options, count, coords)

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return writer.layer(
            "Darknet.Region",
            inputs,
            softmax=self.softmax,
            threshold=self.threshold,
            **self.attributes(),
        )
