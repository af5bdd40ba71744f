"""Dividing a layer's workspace into tensors."""

from __future__ import annotations

from collections.abc import Sequence

from ..plugins import ALIGNMENT, DataType, TensorDesc, TensorView


def aligned(nbytes: int) -> int:
    """Bytes rounded up to the alignment of tensors; at least one such unit."""
    return max(-(-nbytes // ALIGNMENT), 1) * ALIGNMENT


def workspace_size(tensors: Sequence[TensorDesc]) -> int:
    """Bytes that hold all the tensors."""
    return sum(aligned(desc.nbytes) for desc in tensors)


class WorkspaceParts:
    """Takes one tensor after the other from a workspace."""

    def __init__(self, workspace: TensorView) -> None:
        self._workspace = workspace
        self._used = 0

    def take(self, desc: TensorDesc) -> TensorView:
        """The next tensor."""
        view = TensorView(
            desc, self._workspace.slot, self._workspace.offset + self._used
        )
        self._used += aligned(desc.nbytes)
        return view

    def bytes(self, count: int) -> TensorView:
        """The next `count` bytes."""
        return self.take(TensorDesc(DataType.UINT8, (count,)))
