"""Shared memory: accumulation into dying inputs, and slices that are worth writing in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ...plugins import Tactic, TensorDesc
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise, Storage, build_desc
from ..memory import Aliasing, decide_aliasing
from ..tuning.assignment import TIE
from ..tuning.candidates import Candidate
from ..tuning.timer import Timer


class Sharing:
    """Decides which tensors of one network share memory, with formats and tactics chosen."""

    def __init__(
        self, network: Network, sizes: Sequence[Mapping[str, int]], concretise: Concretise,
        timer: Timer, report: Callable[[str], None],
    ) -> None:
        self._network = network
        self._sizes = sizes
        self._concretise = concretise
        self._timer = timer
        self._report = report
        self._told: set[Tensor] = set()

    def decide(
        self, accumulating: Mapping[Layer, Sequence[Candidate]]
    ) -> dict[Layer, Aliasing]:
        """Take over what `accumulating` offers where it pays and is legal at all sizes; then
        every other legal offer."""
        plain: dict[Layer, Tactic] = {}
        for layer in self._network.layers:
            found = self._accumulating(layer, accumulating.get(layer, ()))
            if found is not None:
                plain[layer] = layer.plugin.tactic
                layer.plugin.setTactic(found)
        while True:
            aliasing = decide_aliasing(self._network, self._sizes, self._slice_pays)
            refused = [
                layer for layer in plain
                if aliasing[layer].in_place != layer.plugin.tactic.accumulates_into
            ]
            if not refused:
                return aliasing
            for layer in refused:
                layer.plugin.setTactic(plain.pop(layer))

    def _accumulating(self, layer: Layer, offered: Sequence[Candidate]) -> Tactic | None:
        """The fastest tactic that adds into an input, if it is faster than the chosen one."""
        now = self._now(layer)
        fitting = [
            candidate for candidate in offered
            if candidate.places == now.places and candidate.kernel == layer.kernel
        ]
        if not fitting:
            return None
        times = [(self._timer.seconds(layer, c) or 0.0, k) for k, c in enumerate(fitting)]
        seconds, best = min(times)
        plain = self._timer.seconds(layer, now)
        return fitting[best].tactic if plain is None or seconds <= plain * (1 + TIE) else None

    def _slice_pays(self, layer: Layer, index: int) -> bool:
        """Whether writing input `index` straight into its slice beats dense plus copy."""
        tensor = layer.inputs[index]
        producer = tensor.producer if tensor is not None else None
        if tensor is None or producer is None:
            return False
        output = self._desc(tensor)
        strided = replace(output, strides=self._desc(layer.output).element_strides)
        if strided.is_dense or (not self._timer.measure and not self._timer.cache.seconds):
            return True
        if producer.plugin.tactic.accumulates_into is not None:
            return False
        dense = self._now(producer)
        which = producer.outputs.index(tensor)
        results = (*dense.outputs[:which], strided, *dense.outputs[which + 1 :])
        copy = Layer("copy", self._network.registry.by_role("copy")(), [])
        times = (
            self._timer.seconds(producer, dense),
            self._timer.seconds(copy, Candidate((output,), (strided,), copy.plugin.tactic)),
            self._timer.seconds(producer, replace(dense, outputs=results)),
        )
        if any(seconds is None for seconds in times):
            return True
        dense_time, copy_time, strided_time = (seconds or 0.0 for seconds in times)
        pays = strided_time <= dense_time + copy_time
        if not pays and tensor not in self._told:
            self._told.add(tensor)
            self._report(
                f"{tensor.name}: kept dense before {layer.name}: writing the slice takes "
                f"{strided_time * 1e6:.1f} us, dense and copy "
                f"{(dense_time + copy_time) * 1e6:.1f} us"
            )
        return pays

    def _now(self, layer: Layer) -> Candidate:
        """The candidate that was chosen for a layer."""
        return Candidate(
            tuple(None if t is None else self._desc(t) for t in layer.inputs),
            tuple(map(self._desc, layer.outputs)), layer.plugin.tactic, layer.kernel,
        )  # fmt: skip

    def _desc(self, tensor: Tensor) -> TensorDesc:
        return build_desc(tensor.desc, Storage(tensor.format), self._concretise)
