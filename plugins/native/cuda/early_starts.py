"""Kernels that begin before those ahead of them have ended, as dependency.cuh lets them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from .architectures import number_of
from .packages import driver

_FIRST_ARCHITECTURE = 90

_AWAITING: set[int] = set()


def can_start_early(architecture: str) -> bool:
    """Whether GPUs of this architecture, and the bindings, can launch kernels so."""
    return number_of(architecture) >= _FIRST_ARCHITECTURE and edges_have_data()


def edges_have_data() -> bool:
    """Whether cuda-bindings tell how the nodes of a graph wait, which those of CUDA 12 do not:
    kernels then begin one after the other."""
    return _have_edge_data(driver())


@cache
def _have_edge_data(module: Any) -> bool:
    text = module.cuGraphAddNode.__doc__ or ""
    return "dependencyData" in text.partition("\n")[0]


def remember_awaiting(function: int) -> None:
    """Tell that a CUfunction, as a number, is a kernel of ours that waits for those ahead of it."""
    _AWAITING.add(function)


def awaits_predecessors(function: int) -> bool:
    """Whether that was told of a CUfunction."""
    return function in _AWAITING


def early_launch(
    blocks: Sequence[int], threads: Sequence[int], shared_bytes: int, stream: int
) -> Any:
    """The configuration of a launch that may begin before the kernel ahead of it has ended."""
    module = driver()
    attribute = module.CUlaunchAttribute()
    kinds = module.CUlaunchAttributeID
    attribute.id = kinds.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
    attribute.value.programmaticStreamSerializationAllowed = 1
    config = module.CUlaunchConfig()
    config.gridDimX, config.gridDimY, config.gridDimZ = blocks
    config.blockDimX, config.blockDimY, config.blockDimZ = threads
    config.sharedMemBytes = shared_bytes
    config.hStream = stream
    config.attrs = [attribute]
    config.numAttrs = 1
    return config
