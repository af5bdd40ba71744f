"""[yolo] and [region], and what all last layers of detectors have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array, ModelError

from ...layers import NMS_KINDS
from ..class_trees import find_tree, read_map, read_tree
from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from .base import DarknetLayer

# `map` turns the classes of training data into those of a tree; Darknet does not use it to
# detect. For evaluation there is the option --map.
TRAINING_OPTIONS = frozenset({
    "absolute", "bias_match", "class_scale", "classfix", "cls_normalizer", "coord_scale",
    "counters_per_class", "delta_normalizer", "dets_for_show", "dets_for_track",
    "embedding_layer", "focal_loss", "forced", "ignore_thresh", "iou_loss", "iou_normalizer",
    "iou_thresh", "iou_thresh_kind", "jitter", "label_smooth_eps", "log", "map", "mask_scale",
    "max", "max_delta", "noobject_scale", "obj_normalizer", "object_scale", "objectness_smooth",
    "onlyforward", "random", "rescore", "resize", "show_details", "sim_thresh", "sqrt",
    "track_ciou_norm", "track_history_size", "truth_thresh", "uc_normalizer",
})  # fmt: skip


class DetectionSection(DarknetLayer):
    """A last layer of a detector."""

    is_output = True
    ignored = TRAINING_OPTIONS
    classes: int
    nms_kind = "default"
    beta_nms = 0.6

    def read_classes(self, options: OptionReader, default: int = 20) -> None:
        """Take the number of classes, and check that the network's user has names for them."""
        self.classes = options.integer("classes", default, minimum=1)
        names = self.settings.class_names
        if names and len(names) < self.classes and self.settings.trees.class_map is None:
            raise options.error(
                "classes",
                f"classes={self.classes}, but the file of names has {len(names)}; "
                "give the names this net was trained with",
            )

    def check_channels(self, options: OptionReader, anchors: int, coords: int) -> None:
        """Check that the input has the channels of so many anchors."""
        wanted = anchors * (coords + 1 + self.classes)
        if self.source.channels != wanted or self.source.flat:
            raise options.error(
                "classes",
                f"classes={self.classes} and {anchors} anchors need an input of {wanted} "
                f"channels, but it is {self.source}; correct filters= of the layer before",
            )

    def read_suppression(self, options: OptionReader) -> None:
        """Take how overlaps are to be measured."""
        self.nms_kind = options.text("nms_kind", self.nms_kind)
        if self.nms_kind not in NMS_KINDS:
            raise options.error(
                "nms_kind",
                f"nms_kind={self.nms_kind} is not known; write one of {', '.join(NMS_KINDS)}",
            )
        self.beta_nms = options.number("beta_nms", self.beta_nms)
        if self.beta_nms <= 0:
            raise options.error("beta_nms", f"beta_nms={self.beta_nms:g} must be above 0")

    def attributes(self) -> dict[str, Any]:
        """Attributes of every such layer."""
        return {
            "classes": self.classes,
            "names": self.settings.class_names[: self.classes],
            "letter_box": self.settings.letter_box,
            "nms_kind": self.nms_kind,
            "beta_nms": self.beta_nms,
        }


def read_anchors(options: OptionReader, count: int) -> tuple[float, ...]:
    """Width and height of `count` anchors; further ones are dropped, as in Darknet, and none
    given are 0.5."""
    given = options.numbers("anchors")
    if not given:
        return (0.5,) * (2 * count)
    if len(given) < 2 * count:
        raise options.error(
            "anchors",
            f"{len(given)} numbers are given, but num={count} anchors need {2 * count}",
        )
    anchors = given[: 2 * count]
    if min(anchors) < 0:
        raise options.error("anchors", f"anchors must not be negative: {min(anchors):g}")
    return anchors


class Yolo(DetectionSection):
    """The anchors `mask` of all anchors; sizes in pixels of the network's input."""

    names = ("yolo",)
    layer_type = "Darknet.Yolo"
    coords = 4

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        total = options.integer("num", 1, minimum=1, maximum=1024)
        self.mask = options.integers("mask") or tuple(range(total))
        for value in self.mask:
            if not 0 <= value < total:
                raise options.error(
                    "mask", f"mask={value} names no anchor; write 0 to num-1 = {total - 1}"
                )
        self.anchors = read_anchors(options, total)
        self.scale_x_y = options.number("scale_x_y", 1.0)
        self.read_further(options)
        self.read_suppression(options)
        self.read_classes(options)
        self.check_channels(options, len(self.mask), self.coords)

    def read_further(self, options: OptionReader) -> None:
        """Take what only this section has."""
        self.further: dict[str, Any] = {"new_coords": options.flag("new_coords")}

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return writer.layer(
            self.layer_type,
            inputs,
            anchors=self.anchors,
            mask=self.mask,
            image_size=self.settings.input.area,
            scale_x_y=self.scale_x_y,
            **self.further,
            **self.attributes(),
        )


class Region(DetectionSection):
    """The layer of YOLOv2, and with a tree of classes of YOLO9000; sizes of anchors in cells of
    its grid."""

    names = ("region",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.options = options
        self.count = options.integer("num", 1, minimum=1, maximum=1024)
        self.coords = options.integer("coords", 4, minimum=4)
        self.background = options.flag("background")
        self.anchors = read_anchors(options, self.count)
        self.softmax = options.flag("softmax")
        self.threshold = options.number("thresh", 0.5)
        self.has_tree = bool(options.text("tree"))
        if self.has_tree and self.background:
            raise options.error(
                "background", "background=1 and tree= exclude each other: Darknet mixes up the "
                "planes of both; delete one",
            )  # fmt: skip
        self.read_classes(options)
        self.check_channels(options, self.count, self.coords)

    def read_files(self) -> None:
        self.of_tree: dict[str, Any] = {}
        if not self.has_tree:
            return
        path = self.settings.trees.tree or find_tree(self.options)
        tree = read_tree(path)
        if len(tree.parents) != self.classes:
            raise self.options.error(
                "tree", f"classes={self.classes}, but {path} has {len(tree.parents)}; correct one"
            )
        names = self.settings.class_names or tree.names
        self.of_tree = {
            "parents": tree.parents,
            "hier_thresh": self.settings.trees.hier_thresh,
            "names": names[: self.classes],
        }
        if self.settings.trees.class_map is not None:
            chosen = read_map(self.settings.trees.class_map, self.classes)
            names = self._mapped_names(names, chosen)
            self.of_tree |= {"map": chosen, "classes": len(chosen), "names": names}

    def _mapped_names(self, names: tuple[str, ...], chosen: tuple[int, ...]) -> tuple[str, ...]:
        """The names of the map's classes: those given, or some of those of all classes."""
        if len(names) == len(chosen):
            return names
        if len(names) < self.classes:
            raise ModelError(
                f"{self.settings.trees.class_map}: the map has {len(chosen)} classes, but the "
                f"file of names {len(names)}; give names for these or for all {self.classes}"
            )
        return tuple(names[index] for index in chosen)

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        attributes = {
            "anchors": self.anchors,
            "coords": self.coords,
            "background": self.background,
            "softmax": self.softmax,
            "threshold": self.threshold,
        }
        return writer.layer(
            "Darknet.Region", inputs, **{**attributes, **self.attributes(), **self.of_tree}
        )
