"""Scratch memory of oneDNN primitives inside a layer's workspace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..plugins import ALIGNMENT, Array, Stream, TensorView

if TYPE_CHECKING:
    from ..plugins.native.onednn import Primitive


def scratchpad_size(primitives: Iterable[Primitive]) -> int:
    """Bytes of workspace that are enough for any of the primitives."""
    return max((primitive.scratchpad_bytes for primitive in primitives), default=0)


def expected_threads() -> int:
    """The team size to plan workspaces for: `getWorkspaceSize` is not told the stream's."""
    from ..plugins.native import cpu, extension_available

    return cpu.get_num_threads() if extension_available() else 1


def bind_scratchpad(
    primitive: Primitive, workspace: TensorView | None, stream: Stream
) -> dict[int, TensorView | Array]:
    """The primitive's scratchpad argument: the workspace, or where that is too small (planned
    for another number of threads) memory of the recording's own."""
    from ..plugins.native.onednn import Argument

    size = primitive.scratchpad_bytes
    if not size:
        return {}
    if workspace is not None and workspace.desc.nbytes >= size:
        return {Argument.SCRATCHPAD: workspace}
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    own = raw[start : start + size]
    stream.keep(own)
    return {Argument.SCRATCHPAD: own}
