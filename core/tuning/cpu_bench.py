"""Timing candidates on the CPU, on buffers of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...plugin_registry import Registry
from ...plugins import Array
from ..devices.cpu import Weights
from ..graph import Layer
from ..passes.copying import copy_plugin
from ..runtime.standalone import prepare_layer
from ..runtime.weight_store import PackedWeights
from .bench import Run, Sample, TuningBench
from .effort import FAST, FULL

if TYPE_CHECKING:
    from .candidates import Candidate


class CpuBench(TuningBench):
    """A team of `threads`."""

    efforts = {"fast": FAST, "full": FULL, "off": None}

    def __init__(self, registry: Registry, threads: int) -> None:
        self._registry = registry
        self._threads = threads

    def weights_of(self, touched: int) -> Weights:
        return Weights.of_network(touched, self._threads)

    @contextmanager
    def prepared(
        self, layer: Layer, candidate: Candidate, sample: Sample, where: Weights
    ) -> Iterator[Run]:
        arrays: list[Array | None] = []
        constants = []
        for index, desc in enumerate(candidate.inputs):
            if desc is None:
                arrays.append(None)
            elif desc.value is not None:
                constants.append(index)
                arrays.append(desc.value)
            else:
                arrays.append(sample(desc))
        kernel = None
        if candidate.kernel is not None:
            kernel = self._registry.get("kernels", candidate.kernel)()
        with prepare_layer(
            copy_plugin(layer.plugin), arrays, inputs=candidate.inputs,
            outputs=candidate.outputs, constants=constants,
            tactic=candidate.tactic, epilogue=layer.epilogue, threads=self._threads,
            kernel=kernel, packed=PackedWeights(),
        ) as prepared:  # fmt: skip
            yield prepared.stopwatch(where)

    def guess(self, nbytes: int) -> float:
        """10 GB/s and 2 microseconds."""
        return 2e-6 + nbytes / 10e9
