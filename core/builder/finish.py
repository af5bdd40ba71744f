"""The last part of a build: outputs, formats, tactics, shared memory, configure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...plugins import Format, PlugrtError, ShapeError, Tactic, TensorDesc
from ...plugins.dims import evaluate_shape, symbols
from ..graph import Layer, Network, Tensor
from ..memory import decide_aliasing
from ..memory.storage import StorageMap
from ..passes.copying import graph_attributes
from ..runtime.planned import PlannedNetwork
from ..runtime.recorder import is_barrier
from ..tuning.assignment import TIE, Assignment, Option
from ..tuning.candidates import Candidate, candidates, concrete_desc
from ..tuning.timer import Timer
from .profiles import SizeProfile

Report = Callable[[str], None]


class Finisher:
    """Turns an optimised network into a planned one, bodies first."""

    def __init__(
        self, formats: list[Format], profile: SizeProfile, threads: int, timer: Timer,
        max_workspace_size: int | None, report: Report,
    ) -> None:
        self._formats = formats
        self._profile = profile
        self._threads = threads
        self._timer = timer
        self._limit = max_workspace_size
        self._report = report

    def finish(self, network: Network, is_body: bool = False) -> PlannedNetwork:
        """Decide everything for one network, in place."""
        bodies = {
            id(body): self.finish(body, is_body=True)
            for layer in network.layers
            for body in graph_attributes(layer.plugin).values()
        }
        self._own_outputs(network)
        self._copy_behind_barriers(network, is_body)
        choice = Assignment(
            network, self._formats, self._profile.concretise, self._threads, self._timer,
            self._limit,
        ).solve()  # fmt: skip
        for layer, option in choice.items():
            self._apply(layer, option)
        self._insert_reformats(network, choice)
        self._accumulate(network)
        aliasing = decide_aliasing(network, self._all_sizes(network), self._slice_pays)
        for layer in network.layers:
            self._configure(layer)
        return PlannedNetwork(network, aliasing, bodies)

    # ---- outputs and barriers -------------------------------------------------------------

    def _own_outputs(self, network: Network) -> None:
        """Every output gets a tensor that a layer writes for it alone."""
        seen: set[int] = set()
        for index, tensor in enumerate(network.outputs):
            if tensor.producer is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                continue
            plugin = network.registry.by_role("copy")()
            name = f"{network.output_names[index]}.copy"
            desc = replace(tensor.desc, value=None)
            copy = network.insert_layer(len(network.layers), plugin, [tensor], name, [desc])
            network.outputs[index] = copy.output
            seen.add(id(copy.output))

    def _copy_behind_barriers(self, network: Network, is_body: bool) -> None:
        """A tensor whose size became known is compacted for readers that need it dense."""
        for layer in list(network.layers):
            if not is_barrier(layer, {}):
                continue
            if is_body:
                raise ShapeError(
                    f"layer {layer.name!r} in body {network.name!r} needs a size that only the "
                    "data decide; inside If and Loop use layers that accept padded inputs"
                )
            for index, tensor in enumerate(layer.inputs):
                if tensor is None or not _bounded_behind(tensor):
                    continue
                if tensor.producer is not None and tensor.producer.plugin.role == "copy":
                    continue
                plugin = network.registry.by_role("copy")()
                copy = network.insert_layer(
                    network.layers.index(layer), plugin, [tensor], f"{tensor.name}.compact",
                    [replace(tensor.desc, value=None)],
                )
                layer.set_input(index, copy.output)

    # ---- formats --------------------------------------------------------------------------

    def _apply(self, layer: Layer, option: Option) -> None:
        candidate = option.candidate
        layer.kernel = candidate.kernel
        layer.plugin.setTactic(candidate.tactic)
        layer.plugin.setEpilogue(layer.epilogue)
        for tensor, desc in zip(layer.outputs, candidate.outputs, strict=True):
            tensor.format = desc.format
        chosen = ", ".join(dict.fromkeys(d.format.value for d in candidate.outputs))
        self._report(f"{layer.name}: {candidate.tactic.name} ({chosen})")

    def _insert_reformats(self, network: Network, choice: Mapping[Layer, Option]) -> None:
        for tensor in list(network.tensors.values()):
            if tensor.is_constant:
                continue
            made: dict[Format, Tensor] = {tensor.format: tensor}
            for use in list(dict.fromkeys(tensor.uses)):
                if use not in choice:
                    continue
                for index, read in enumerate(use.inputs):
                    if read is tensor:
                        wanted = choice[use].input_format(index)
                        use.set_input(index, self._in_format(network, tensor, wanted, made))
            if tensor.is_output and tensor.format is not Format.LINEAR:
                linear = self._in_format(network, tensor, Format.LINEAR, made)
                network.outputs = [linear if t is tensor else t for t in network.outputs]
        network.sort_layers()

    def _in_format(
        self, network: Network, tensor: Tensor, wanted: Format, made: dict[Format, Tensor]
    ) -> Tensor:
        if wanted not in made:
            plugin = network.registry.by_role("reformat")()
            position = (
                0 if tensor.producer is None else network.layers.index(tensor.producer) + 1
            )
            desc = replace(tensor.desc, format=wanted, value=None)
            layer = network.insert_layer(
                position, plugin, [tensor], f"{tensor.name}.{wanted.value}", [desc]
            )
            found = candidates(
                layer, [tensor.format, wanted], self._profile.concretise, self._threads,
                network.registry,
            )  # fmt: skip
            fitting = [
                c for c in found
                if c.outputs[0].format is wanted and c.inputs[0] is not None
                and c.inputs[0].format is tensor.format
            ]  # fmt: skip
            if not fitting:
                raise PlugrtError(
                    f"no layer of role 'reformat' turns {tensor.name!r} from "
                    f"{tensor.format.value} to {wanted.value}"
                )
            plugin.setTactic(fitting[0].tactic)
            made[wanted] = layer.output
        return made[wanted]

    # ---- shared memory --------------------------------------------------------------------

    def _accumulate(self, network: Network) -> None:
        """Use tactics that add into an input's buffer, where that input dies."""
        wanted: dict[Layer, tuple[Tactic, Tactic]] = {}
        for layer in network.layers:
            found = self._accumulating(network, layer)
            if found is not None:
                wanted[layer] = (layer.plugin.tactic, found)
                layer.plugin.setTactic(found)
        while True:
            taken: set[int] = set()

            def decide(
                layer: Layer, kind: str, index: int, taken: set[int] = taken
            ) -> bool:
                if kind == "in_place":
                    taken.add(id(layer))
                return kind != "slice" or self._slice_pays(layer, index)

            for sizes in self._all_sizes(network):
                StorageMap(network, sizes, decide)
            failed = [
                layer for layer in wanted
                if id(layer) not in taken and layer.plugin.tactic is wanted[layer][1]
            ]  # fmt: skip
            if not failed:
                return
            for layer in failed:
                layer.plugin.setTactic(wanted[layer][0])

    def _accumulating(self, network: Network, layer: Layer) -> Tactic | None:
        if not layer.epilogue:
            return None
        now = tuple(t.format for t in layer.outputs)
        best: tuple[float, Tactic] | None = None
        for candidate in candidates(
            layer, self._formats, self._profile.concretise, self._threads, network.registry
        ):
            into = candidate.tactic.accumulates_into
            if into is None or tuple(d.format for d in candidate.outputs) != now:
                continue
            same = all(
                d is None or t is None or t.is_constant or d.format is t.format
                for d, t in zip(candidate.inputs, layer.inputs, strict=True)
            )
            if not same or candidate.kernel != layer.kernel:
                continue
            seconds = self._timer.seconds(layer, candidate) or 0.0
            if best is None or seconds < best[0]:
                best = (seconds, candidate.tactic)
        if best is None:
            return None
        dense = Candidate(
            tuple(None if t is None else self._now(t) for t in layer.inputs),
            tuple(self._now(t) for t in layer.outputs), layer.plugin.tactic, layer.kernel,
        )  # fmt: skip
        plain = self._timer.seconds(layer, dense)
        return best[1] if plain is None or best[0] <= plain * (1 + TIE) else None

    def _slice_pays(self, layer: Layer, index: int) -> bool:
        """Whether writing input `index` straight into its slice beats dense plus copy."""
        tensor = layer.inputs[index]
        producer = tensor.producer if tensor is not None else None
        if tensor is None or producer is None:
            return False
        output = self._now(tensor)
        strided = replace(output, strides=self._now(layer.outputs[0]).element_strides)
        if strided.is_dense or (not self._timer.measure and not self._timer.cache.seconds):
            return True
        inputs = tuple(None if t is None else self._now(t) for t in producer.inputs)
        which = producer.outputs.index(tensor)
        results = [self._now(t) for t in producer.outputs]
        tactic, kernel = producer.plugin.tactic, producer.kernel
        if tactic.accumulates_into is not None:
            return False
        dense_time = self._timer.seconds(
            producer, Candidate(inputs, tuple(results), tactic, kernel)
        )
        results[which] = strided
        strided_time = self._timer.seconds(
            producer, Candidate(inputs, tuple(results), tactic, kernel)
        )
        copy = Layer("copy", layer.outputs[0].network.registry.by_role("copy")(), [])  # type: ignore[union-attr]
        copy_time = self._timer.seconds(
            copy, Candidate((output,), (strided,), copy.plugin.tactic)
        )
        if dense_time is None or strided_time is None or copy_time is None:
            return True
        pays = strided_time <= dense_time + copy_time
        if not pays:
            self._report(
                f"{tensor.name}: kept dense before {layer.name}: writing the slice takes "
                f"{strided_time * 1e6:.1f} us, dense and copy "
                f"{(dense_time + copy_time) * 1e6:.1f} us"
            )
        return pays

    def _now(self, tensor: Tensor) -> TensorDesc:
        return concrete_desc(tensor, tensor.format, self._profile.concretise)

    # ---- sizes and configure --------------------------------------------------------------

    def _all_sizes(self, network: Network) -> list[Mapping[str, int]]:
        """Size profiles with every symbol of this network (bodies may have their own)."""
        names = network.free_symbols
        return [{**dict.fromkeys(names, 1), **sizes} for sizes in self._profile.distinct]

    def _configure(self, layer: Layer) -> None:
        try:
            layer.plugin.configure(
                [None if t is None else self._ranged(t) for t in layer.inputs],  # type: ignore[misc]
                [self._ranged(t) for t in layer.outputs],
            )
        except PlugrtError as error:
            raise type(error)(f"layer {layer.name!r} ({layer.plugin.type}): {error}") from error

    def _ranged(self, tensor: Tensor) -> TensorDesc:
        free = {n: 1 for n, s in symbols(tensor.shape).items() if s.bound is None}
        least, most = (
            evaluate_shape(tensor.shape, {**free, **sizes})
            for sizes in (self._profile.minimum, self._profile.maximum)
        )
        return replace(self._now(tensor), min_shape=least, max_shape=most)


def _bounded_behind(tensor: Tensor) -> bool:
    """Whether an axis other than the first has a data-dependent size."""
    return any(
        found.bound is not None for dim in tensor.shape[1:] for found in symbols(dim).values()
    )


