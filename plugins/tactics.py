"""Ways to run a layer, and what the tuner asks and is told about them."""

from __future__ import annotations

from dataclasses import dataclass, field

from .epilogue import Epilogue
from .tensor import TensorDesc


@dataclass(frozen=True)
class Combination:
    """One assignment of types and formats to all inputs and outputs of a layer, on `device`."""

    inputs: tuple[TensorDesc, ...]
    outputs: tuple[TensorDesc, ...]
    device: str = "cpu"


@dataclass(frozen=True)
class TacticRequest:
    """What the tuner wants run: concrete descriptions and the epilogue to fuse.

    `inputs` are the layer's own, then the epilogue's operands. A tactic that cannot do all
    of it is not offered; an empty list means the region is not fused. With `name` set only the
    tactic of this name is looked for, so that whatever is costly to find out about others can
    be left out; offering them all the same is no mistake.

    `device` is where the layer shall run, `ordinal` which of the GPUs. Layers without it in
    their `devices` are asked about "cpu", as are those that offer nothing for it. `tf32` allows
    float32 inputs of products to be rounded to 10 bits; tactics that do so say it in their name.
    """

    inputs: tuple[TensorDesc, ...]
    outputs: tuple[TensorDesc, ...]
    epilogue: Epilogue = field(default_factory=Epilogue)
    device: str = "cpu"
    thread_count: int = 1
    name: str | None = None
    tf32: bool = False
    ordinal: int = 0


@dataclass(frozen=True)
class Tactic:
    """One kernel or algorithm, and what it accepts.

    `strided_outputs`: outputs that may lie in a slice of a larger tensor.
    `strided_inputs`: inputs that may be a slice of a larger tensor.
    `may_alias`: inputs whose buffer output 0 may reuse when they die here.
    `accumulates_into`: this tactic *requires* output 0 to be input k's buffer; offered only
    where k dies here with an equal format, and a tactic without it must be offered too.
    `weight_growth`: bytes of the packed weights that it keeps, by the bytes of the layer's
    constants; builds for little memory leave out tactics above 1 where there are others.
    Ties in time are broken by `priority` (higher first), then by name.
    """

    name: str
    strided_outputs: frozenset[int] = frozenset()
    strided_inputs: frozenset[int] = frozenset()
    may_alias: frozenset[int] = frozenset()
    accumulates_into: int | None = None
    priority: int = 0
    weight_growth: float = 1.0


@dataclass(frozen=True)
class ViewOf:
    """Offer: `output` is `input`'s memory seen otherwise, from `offset` bytes on.

    With `strides` None the output is dense. Taken when the memory plan allows it; the layer
    then finds both at one address and does nothing.
    """

    output: int
    input: int
    offset: int = 0
    strides: tuple[int, ...] | None = None


@dataclass(frozen=True)
class SliceOf:
    """Offer: `input` may be written by its producer straight into a slice of `output`.

    The slice begins at `start` along `axis` and has the input's extent. A tensor has one
    home slice. The layer finds the input in place and skips its copy.
    """

    input: int
    output: int
    axis: int
    start: int


Alias = ViewOf | SliceOf


@dataclass(frozen=True)
class SameRange:
    """Range rule: the output has the range, hence the scale, of input `input`."""

    input: int = 0


@dataclass(frozen=True)
class FixedRange:
    """Range rule: the output lies in [low, high] whatever the data."""

    low: float
    high: float


@dataclass(frozen=True)
class CalibratedRange:
    """Range rule: only data can tell."""


RangeRule = SameRange | FixedRange | CalibratedRange


@dataclass
class Chosen:
    """The core's decisions for one layer instance, set before `configure`."""

    tactic: Tactic | None = None
    epilogue: Epilogue = field(default_factory=Epilogue)
