"""The process that holds libdarknet: reads requests from stdin, writes answers to stdout.

Darknet ends the process when a definition displeases it, and prints a lot; both stay here.
Started by `ReferenceDarknet` with the library and a file of declarations for cffi.
"""

from __future__ import annotations

import math
import os
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI
from numpy.typing import NDArray

Array = NDArray[np.float32]


FURTHER_FUNCTIONS = """
void *calloc(size_t count, size_t size);
void softmax_cpu(float *input, int n, int batch, int batch_offset, int groups, int group_offset,
    int stride, float temperature, float *output);
"""
"""What darknet.h does not declare."""


class Darknet:
    """Requests by name; arrays are float32."""

    def __init__(self, library: str, declarations: str) -> None:
        self._ffi: Any = FFI()
        self._ffi.cdef(declarations)
        self._ffi.cdef(FURTHER_FUNCTIONS)
        self._library: Any = self._ffi.dlopen(library)

    def predict(
        self, cfg: str, weights: str, image: Array, layers: Sequence[int] | None
    ) -> dict[int, Array]:
        """Outputs of the given layers, or of all, for one image [channels, height, width]; each
        as [channels, height, width] where Darknet knows these, else flat."""
        network = self._run(cfg, weights, image)
        chosen = range(network.n) if layers is None else layers
        outputs = {index: self._output(network.layers[index]) for index in chosen}
        self._library.free_network(network)
        return outputs

    def detect(
        self,
        cfg: str,
        weights: str,
        image: Array,
        size: tuple[int, int],
        thresholds: tuple[float, float, float],
    ) -> Array:
        """Boxes for a picture of this height and width, whose letter box `image` is: rows of
        centre, width and height relative to the picture, score and class. The thresholds are
        those of scores, of the tree of classes, and of overlaps."""
        score, hierarchy, overlap = thresholds
        network = self._run(cfg, weights, image)
        count = self._ffi.new("int *")
        height, width = size
        found = self._library.get_network_boxes(
            network, width, height, score, hierarchy, self._ffi.NULL, 1, count
        )
        classes = network.layers[network.n - 1].classes
        self._library.do_nms_sort(found, count[0], classes, overlap)
        rows = [
            (box.bbox.x, box.bbox.y, box.bbox.w, box.bbox.h, box.prob[label], label)
            for box in found[0 : count[0]]
            for label in range(classes)
            if box.prob[label] > 0
        ]
        self._library.free_detections(found, count[0])
        self._library.free_network(network)
        return np.asarray(rows, np.float32).reshape(-1, 6)

    def save(self, cfg: str, weights: str, target: str, cutoff: int) -> None:
        """Write the weights of the first layers only."""
        network = self._library.load_network(os.fsencode(cfg), os.fsencode(weights), 0)
        self._library.save_weights_upto(network, os.fsencode(target), cutoff)
        self._library.free_network(network)

    def letterbox(self, image: Array, height: int, width: int) -> Array:
        """letterbox_image."""
        return self._picture(self._library.letterbox_image(self._image(image), width, height))

    def resize(self, image: Array, height: int, width: int) -> Array:
        """resize_image."""
        return self._picture(self._library.resize_image(self._image(image), width, height))

    def centre_crop(self, image: Array, height: int, width: int) -> Array:
        """resize_min to the width, then crop_image of the middle."""
        resized = self._library.resize_min(self._image(image), width)
        left, top = int((resized.w - width) / 2), int((resized.h - height) / 2)  # as C divides
        cropped = self._library.crop_image(resized, left, top, width, height)
        return self._picture(cropped)

    def _run(self, cfg: str, weights: str, image: Array) -> Any:
        network = self._library.load_network(os.fsencode(cfg), os.fsencode(weights), 0)
        self._library.set_batch_network(network, 1)
        self._complete(network)
        if image.size != network.inputs:
            raise ValueError(f"{image.size} values are given, {cfg} takes {network.inputs}")
        trees = self._without_trees(network)
        self._library.network_predict(network, self._floats(image))
        for index, tree in trees.items():
            self._classes_of_tree(network, index, tree)
        return network

    def _complete(self, network: Any) -> None:
        """Give every [batchnorm] the place where it keeps a copy of its input: without a GPU this
        version allocates none, and dies."""
        for layer in network.layers[0 : network.n]:
            if layer.type == self._library.BATCHNORM and not layer.x:
                layer.x = self._ffi.cast("float *", self._library.calloc(layer.outputs, 4))

    def _without_trees(self, network: Any) -> dict[int, Any]:
        """Take the tree of classes from every [region]: this version can only follow it on a GPU,
        elsewhere it mistakes places and divides by 0."""
        trees = {}
        for index, layer in enumerate(network.layers[0 : network.n]):
            if layer.type == self._library.REGION and layer.softmax_tree:
                trees[index] = layer.softmax_tree
                layer.softmax_tree, layer.softmax = self._ffi.NULL, 1
        return trees

    def _classes_of_tree(self, network: Any, index: int, tree: Any) -> None:
        """Give a [region] its tree back, and its classes as the version for GPUs does: softmax
        over every group, anchor by anchor."""
        layer, source = network.layers[index], network.layers[index - 1].output
        layer.softmax_tree = tree
        area = layer.w * layer.h
        for anchor in range(layer.n):
            first = anchor * (layer.coords + 1 + layer.classes) + layer.coords + 1
            for group in range(tree.groups):
                place = (first + tree.group_offset[group]) * area
                self._library.softmax_cpu(
                    source + place, tree.group_size[group], 1, 0, area, 1, area, 1.0,
                    layer.output + place,
                )  # fmt: skip

    def _output(self, layer: Any) -> Array:
        array = self._array(layer.output, layer.outputs)
        sizes = (layer.out_c, layer.out_h, layer.out_w)
        return array.reshape(sizes) if math.prod(sizes) == array.size else array

    def _array(self, values: Any, count: int) -> Array:
        return np.array(np.frombuffer(self._ffi.buffer(values, 4 * count), np.float32))

    def _floats(self, array: Array) -> Any:
        return self._ffi.from_buffer("float[]", array)

    def _image(self, array: Array) -> Any:
        channels, height, width = array.shape
        return self._ffi.new(
            "image *", {"w": width, "h": height, "c": channels, "data": self._floats(array)}
        )[0]

    def _picture(self, image: Any) -> Array:
        sizes = (image.c, image.h, image.w)
        array = self._array(image.data, math.prod(sizes)).reshape(sizes)
        self._library.free_image(image)
        return array


def main() -> None:
    """Serve until stdin ends. A request is (method, folder to work in, arguments); an answer is
    (True, result) or (False, message)."""
    library, declarations = sys.argv[1:]
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    darknet = Darknet(library, Path(declarations).read_text(encoding="utf-8"))
    while requests.peek(1):
        method, folder, arguments = pickle.load(requests)
        os.chdir(folder)
        try:
            answer = (True, getattr(darknet, method)(*arguments))
        except ValueError as error:
            answer = (False, str(error))
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    main()
