"""An engine with one value per class as a classifier of pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from plugrt import Engine
from plugrt.plugins import Array, PlanError, PlugrtError

from ..parsing.class_names import enough_names
from ..preparation import Picture, PictureBatches, Preparation
from ..preparation.batches import DEFAULT_BATCH

CLASS_NAMES = "class_names"
"""Key of the plan's metadata: names of the classes, one per line."""


@dataclass(frozen=True)
class Classification:
    """A class and its probability: the network's output, whatever its last layer makes of it.

    Where classes form a tree, probabilities are absolute and `path` has the names from the root
    down to this class; else it is empty.
    """

    class_index: int
    name: str
    probability: float
    path: tuple[str, ...] = ()


@runtime_checkable
class TreeOfClasses(Protocol):
    """What a layer may offer whose output are probabilities of classes given their parents."""

    parents: tuple[int, ...]
    """Of every class, -1 for roots."""
    names: tuple[str, ...]
    """Of the classes; may be empty."""

    def probabilities(self, values: Array) -> Array:
        """Probabilities to rank classes by, from one image's output [classes]."""


@dataclass(frozen=True)
class Timing:
    """Seconds of a call, all its pictures together. Reading and decoding files is not in it."""

    preparation: float = 0.0
    network: float = 0.0
    ranking: float = 0.0


class Classifier:
    """Tells what pictures show with a context of an engine; one call at a time.

    `names` go before those in the plan's metadata, and these before those of a tree. By default
    pictures are put into a letter box, as `darknet classify` does; the fork crops them
    (`Preparation.CENTRE_CROP`).

    The constructor raises PlanError when the engine is no classifier, PlugrtError for too few
    names and for numbers of threads or pictures below 1.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        names: Sequence[str] = (),
        preparation: Preparation = Preparation.LETTER_BOX,
        threads: int | None = None,
        batch_size: int = DEFAULT_BATCH,
    ) -> None:
        self._output, self.classes = _class_output(engine)
        layer: object = engine.layers.get(self._output)
        self._tree = layer if isinstance(layer, TreeOfClasses) else None
        in_tree = () if self._tree is None else self._tree.names
        self.names = enough_names(names, self.classes) or _names_in(engine) or in_tree
        self.preparation = preparation
        self._batches = PictureBatches(engine, batch_size=batch_size, threads=threads)
        self.input = self._batches.input
        self.timing = Timing()
        """Of the last call that ended."""

    def classify(self, picture: Picture, top: int = 5) -> list[Classification]:
        """The `top` likeliest classes of a picture, or all if there are fewer; the likeliest
        first, equal ones in their order.

        A picture is a Pillow image or a uint8 array [height, width, 3], red first. Raises
        ShapeError for anything else, and for one without pixels or with sides that are too long;
        PlugrtError for a `top` below 1.
        """
        return self.classify_many([picture], top)[0]

    def classify_many(
        self, pictures: Iterable[Picture], top: int = 5
    ) -> list[list[Classification]]:
        """What `classify` says of each picture, in order.

        Pictures are taken from the iterable batch by batch, so they need not all be in memory.
        """
        if top < 1:
            raise PlugrtError(f"top={top} is not possible; use 1 or more")
        found: list[list[Classification]] = []
        preparation = network = ranking = 0.0
        for batch in self._batches.run(pictures, self.preparation):
            start = time.perf_counter()
            rows = batch.outputs[self._output].reshape(-1, self.classes)
            found += [self._ranked(row, top) for row in rows[: len(batch.sizes)]]
            ranking += time.perf_counter() - start
            preparation += batch.preparation_seconds
            network += batch.network_seconds
        self.timing = Timing(preparation, network, ranking)
        return found

    def close(self) -> None:
        """Release the context. The classifier cannot be used afterwards."""
        self._batches.close()

    def _ranked(self, values: Array, top: int) -> list[Classification]:
        if self._tree is not None:
            values = self._tree.probabilities(values)
        best = np.argsort(-values, kind="stable")[:top].tolist()
        return [
            Classification(index, self._name(index), float(values[index]), self._path(index))
            for index in best
        ]

    def _path(self, index: int) -> tuple[str, ...]:
        if self._tree is None:
            return ()
        names = []
        while index >= 0:
            names.append(self._name(index))
            index = self._tree.parents[index]
        return tuple(reversed(names))

    def _name(self, index: int) -> str:
        return self.names[index] if index < len(self.names) else f"class {index}"


def _class_output(engine: Engine) -> tuple[str, int]:
    """Name of the output and number of classes."""
    outputs = dict(engine.outputs)
    if len(outputs) == 1:
        ((name, desc),) = outputs.items()
        classes, *others = desc.shape[1:] or (0,)
        if isinstance(classes, int) and classes > 0 and all(extent == 1 for extent in others):
            return name, classes
    described = ", ".join(f"{name} {desc}" for name, desc in outputs.items())
    raise PlanError(
        f"the plan's output is {described}; a classifier has one output [N, classes]: build the "
        "plan from a classifier"
    )


def _names_in(engine: Engine) -> tuple[str, ...]:
    text = engine.metadata.get(CLASS_NAMES, "")
    return tuple(text.split("\n")) if text else ()
