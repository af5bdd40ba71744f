"""A call on a GPU, from the moment it is put on the stream until its results are taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ...runtime.context import Outputs
from ...runtime.shape_recording import ShapeRecording
from .callers_arrays import Feed
from .endpoints import Endpoint
from .graphs import Graph
from .recording import CudaRecording
from .shape_places import Places
from .turns import Turn


@dataclass(slots=True)
class Call:
    """A call that is put on the stream."""

    turn: Turn | None
    """None where it uses no fixed place, and nobody has to wait for its end."""
    holder: object
    """Whom the turn belongs to."""
    places: Places
    recording: ShapeRecording
    targets: Sequence[Any]
    outputs: Outputs
    feeds: Sequence[Feed]
    """What it reads."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    is_read: bool = False
    """Whether the caller's memory is read while the GPU works."""
    chunked: Sequence[Endpoint] = ()
    """Outputs that arrive in chunks."""
    known_faults: int = 0
    """How many failures its kernels, and those of calls before it, can report."""
    results: dict[str, Any] | None = None
    """Those that stay on the GPU."""


def only_graph(recording: ShapeRecording) -> Graph | None:
    """The graph that one run of a recording just launched, if it is nothing else."""
    if not recording.is_simple:
        return None
    (segment,) = recording.segments
    captured = cast(CudaRecording, recording.variant(segment, recording.sizes).recording)
    steps = captured.instance().steps
    return steps[0] if len(steps) == 1 and isinstance(steps[0], Graph) else None
