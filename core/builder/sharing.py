"""Shared memory: accumulation into dying inputs, and slices that are worth writing in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from ...plugins import SliceOf, Tactic, TensorDesc
from ..explanation import Note
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise, Storage, build_desc
from ..memory import Aliasing, decide_aliasing
from ..tuning.candidates import Candidate, chosen_candidate
from ..tuning.options import TIE
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
        self._slice_times: dict[tuple[Tensor, Layer], list[float]] = {}
        """Seconds of writing straight into a slice, and of writing densely and copying."""

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
                self._tell(aliasing, plain)
                return aliasing
            for layer in refused:
                layer.plugin.setTactic(plain.pop(layer))

    def _tell(
        self, aliasing: Mapping[Layer, Aliasing], accumulating: Iterable[Layer]
    ) -> None:
        for layer in accumulating:
            source = layer.inputs[layer.plugin.tactic.accumulates_into or 0]
            name = "?" if source is None else source.name
            text = f"{layer.plugin.tactic.name} adds into {name}, whose memory it takes over"
            self._report(Note(layer.name, "accumulates", text, tensor=name))
        for layer, decided in aliasing.items():
            for index in self._slices_offered(layer):
                tensor = layer.inputs[index]
                times = None if tensor is None else self._slice_times.get((tensor, layer))
                if tensor is None or (times is not None and index not in decided.slices):
                    continue  # `_slice_pays` has told
                kind, text = "kept dense", f"copied by {layer.name}: {_why_dense(tensor)}"
                if index in decided.slices:
                    kind, text = "slice", f"written straight into its slice of {layer.output.name}"
                    if times is not None:
                        text += f": {times[0] * 1e6:.1f} us, dense and copy {times[1] * 1e6:.1f} us"
                self._report(Note(tensor.name, kind, text, layer=layer.name, seconds=times))

    def _slices_offered(self, layer: Layer) -> list[int]:
        """Inputs that could lie in slices of an output."""
        now = chosen_candidate(layer, self._concretise)
        given: Any = now.inputs
        offers = layer.plugin.aliases(given, now.outputs)
        return sorted({offer.input for offer in offers if isinstance(offer, SliceOf)})

    def _accumulating(self, layer: Layer, offered: Sequence[Candidate]) -> Tactic | None:
        """The fastest tactic that adds into an input, if it is faster than the chosen one."""
        now = chosen_candidate(layer, self._concretise)
        fitting = [
            candidate for candidate in offered
            if candidate.places == now.places and candidate.kernel == layer.kernel
        ]
        if not fitting:
            return None
        plain = self._timer.seconds(layer, now)
        if plain is None:
            return fitting[0].tactic
        times = [
            (seconds, k) for k, candidate in enumerate(fitting)
            if (seconds := self._timer.seconds(layer, candidate)) is not None
        ]
        seconds, best = min(times, default=(inf, 0))
        return fitting[best].tactic if seconds <= plain * (1 + TIE) else None

    def _slice_pays(self, layer: Layer, index: int) -> bool:
        """Whether writing input `index` straight into its slice beats dense plus copy."""
        tensor = layer.inputs[index]
        producer = tensor.producer if tensor is not None else None
        if tensor is None or producer is None:
            return False
        output = self._desc(tensor)
        strided = replace(output, strides=self._desc(layer.output).element_strides)
        if strided.is_dense or self._timer.knows_nothing:
            return True
        if producer.plugin.tactic.accumulates_into is not None:
            return False
        dense = chosen_candidate(producer, self._concretise)
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
        seconds = (strided_time, dense_time + copy_time)
        pays = seconds[0] <= seconds[1]
        if not pays and (tensor, layer) not in self._slice_times:
            text = (
                f"kept dense before {layer.name}: writing the slice takes "
                f"{seconds[0] * 1e6:.1f} us, dense and copy {seconds[1] * 1e6:.1f} us"
            )
            self._report(
                Note(tensor.name, "kept dense", text, layer=layer.name, seconds=list(seconds))
            )
        self._slice_times[tensor, layer] = list(seconds)
        return pays

    def _desc(self, tensor: Tensor) -> TensorDesc:
        return build_desc(tensor.desc, Storage(tensor.format), self._concretise)


def _why_dense(tensor: Tensor) -> str:
    """Why a tensor that a slice was offered for does not lie in it, where nothing was timed."""
    producer = tensor.producer
    if producer is None:
        return f"{tensor.name} comes from outside"
    if tensor.is_output:
        return f"{tensor.name} is an output"
    tactic = producer.plugin.tactic
    if producer.outputs.index(tensor) not in tactic.strided_outputs:
        return f"{tactic.name} of {producer.name} writes no slices"
    return f"{tensor.name} has its place elsewhere"
