"""The last part of a build: outputs, formats, tactics, shared memory, configure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ...plugins import ShapeError, TensorDesc
from ...plugins.dims import evaluate_shape, symbols
from ..devices.target import Target
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise, Storage, build_desc
from ..graph.concrete_shapes import check_shapes
from ..graph.naming import naming_layer
from ..passes.copying import copy_network
from ..passes.hosting import bodies_of, runs_on_host
from ..runtime.planned import PlannedNetwork
from ..runtime.recorder import is_barrier
from ..tuning.assignment import Assignment, Choice
from ..tuning.candidates import Candidate, Limits
from ..tuning.narrow_constants import NarrowConstants
from ..tuning.options import Option
from ..tuning.timer import Timer
from ..tuning.timing_cache import TimingCache
from .choice_notes import chosen_note
from .conversions import Conversions, declared_places
from .finalists import Finalists
from .profiles import SizeProfile
from .sharing import Sharing

Report = Callable[[str], None]


class Finisher:
    """Turns an optimised network into a planned one, bodies first."""

    def __init__(
        self, storages: list[Storage], profile: SizeProfile, target: Target, timer: Timer,
        limits: Limits, report: Report, others: Sequence[Concretise] = (),
    ) -> None:
        self._storages = storages
        self._profile = profile
        self._target = target
        self._timer = timer
        self._limits = limits
        self._report = report
        self._others = others

    def finish(self, network: Network, is_body: bool = False) -> PlannedNetwork:
        """Decide everything for one network, in place."""
        bodies = {
            id(body): planned for layer in network.layers
            for body, planned in self._finish_bodies(layer)
        }  # fmt: skip
        sizes = self._all_sizes(network)
        if is_body:
            self._check_body(network, sizes)
        self._own_outputs(network)
        self._copy_behind_barriers(network, is_body)
        concretise = self._profile.concretise
        assignment = Assignment(
            network, self._storages, concretise, self._target, self._timer, self._limits,
            self._others,
        )  # fmt: skip
        choice = assignment.solve()
        if self._timer.is_thorough and not is_body and not bodies:
            choice = self._finalists(network, assignment).best()
        for layer, option in choice.items():
            self._report(chosen_note(layer, option, assignment.considered[layer]))
        return self._complete(
            network, choice, assignment.accumulating, assignment.constants, bodies, self._report
        )

    def _finish_bodies(self, layer: Layer) -> list[tuple[Network, PlannedNetwork]]:
        bodies = bodies_of(layer)
        if bodies and not self._target.is_host and (
            runs_on_host(layer, self._target) or any(map(self._leaves_device, bodies))
        ):
            layer.on_host = True
        if not layer.on_host:
            return [(body, self.finish(body, is_body=True)) for body in bodies]
        return [(body, self._on_host(body)) for body in bodies]

    def _leaves_device(self, body: Network) -> bool:
        """Whether a layer has kernels for the device, but none for what it is given."""
        trial = Finisher(
            self._storages, self._profile, self._target, self._timer, self._limits,
            lambda line: None, self._others,
        )  # fmt: skip
        planned = trial.finish(copy_network(body), is_body=True)
        return any(layer.on_host for layer in planned.network.layers)

    def _on_host(self, body: Network) -> PlannedNetwork:
        """A body by rules for the CPU, in the types and the order of arrays."""
        timer = Timer(TimingCache({}), self._target.threads, body.registry, None)
        finisher = Finisher(
            [Storage()], self._profile, self._target.host, timer, self._limits, self._report,
            self._others,
        )  # fmt: skip
        for layer in body.layers:
            layer.on_host = True
        planned = finisher.finish(body, is_body=True)
        for layer in body.layers:  # those that were added, too
            layer.on_host = True
        return planned

    def _complete(
        self, network: Network, choice: Choice, accumulating: Mapping[Layer, list[Candidate]],
        constants: NarrowConstants, bodies: Mapping[int, PlannedNetwork], report: Report,
    ) -> PlannedNetwork:  # fmt: skip
        """Carry out the choice for every layer, and decide what depends on it; in place."""
        concretise = self._profile.concretise
        declared = declared_places(network)
        for layer, option in choice.items():
            self._apply(network, layer, option, constants)
        Conversions(
            network, declared, concretise, self._target, self._timer, report
        ).insert(choice)
        sharing = Sharing(network, self._all_sizes(network), concretise, self._timer, report)
        aliasing = sharing.decide(accumulating)
        for layer in network.layers:
            self._configure(layer)
        return PlannedNetwork(network, aliasing, bodies)

    def _finalists(self, network: Network, assignment: Assignment) -> Finalists:
        def complete(choice: Choice) -> PlannedNetwork:
            copy = copy_network(network)
            twin = {layer.name: layer for layer in copy.layers}
            return self._complete(
                copy, {twin[layer.name]: option for layer, option in choice.items()},
                {twin[layer.name]: c for layer, c in assignment.accumulating.items()},
                assignment.constants, {}, lambda line: None,
            )  # fmt: skip

        inputs = {
            tensor.name: build_desc(tensor.desc, Storage(), self._profile.concretise)
            for tensor in network.inputs
        }
        return Finalists(
            assignment, self._timer, complete, inputs, self._profile.optimum, self._target,
            self._report,
        )

    @staticmethod
    def _check_body(network: Network, sizes: list[Mapping[str, int]]) -> None:
        try:
            for each in sizes:
                check_shapes(network, each)
        except ShapeError as error:
            raise ShapeError(
                f"body {network.name!r}: {error}; sizes of a body's inputs that no profile gives "
                "count as 1: declare them as numbers"
            ) from error

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
                if tensor is None or not _was_padded(tensor):
                    continue
                plugin = network.registry.by_role("copy")()
                copy = network.insert_layer(
                    network.layers.index(layer), plugin, [tensor], f"{tensor.name}.compact",
                    [replace(tensor.desc, value=None)],
                )
                layer.set_input(index, copy.output)

    # ---- types and formats ----------------------------------------------------------------

    def _apply(
        self, network: Network, layer: Layer, option: Option, constants: NarrowConstants
    ) -> None:
        candidate = option.candidate
        layer.kernel, layer.on_host = candidate.kernel, candidate.on_host
        with naming_layer(layer.name, layer.plugin, "setTactic() or setEpilogue()"):
            layer.plugin.setTactic(candidate.tactic)
            layer.plugin.setEpilogue(layer.epilogue)
        for index, (tensor, desc) in enumerate(zip(layer.inputs, candidate.inputs, strict=True)):
            if tensor is None or desc is None or not tensor.is_constant:
                continue
            if desc.dtype is not tensor.dtype:
                layer.set_input(index, constants.tensor(network, tensor, desc))
        for tensor, desc in zip(layer.outputs, candidate.outputs, strict=True):
            tensor.dtype, tensor.format = desc.dtype, desc.format

    # ---- sizes and configure --------------------------------------------------------------

    def _all_sizes(self, network: Network) -> list[Mapping[str, int]]:
        """Size profiles with every symbol of this network (bodies may have their own)."""
        names = network.free_symbols
        return [{**dict.fromkeys(names, 1), **sizes} for sizes in self._profile.distinct]

    def _configure(self, layer: Layer) -> None:
        inputs = [None if t is None else self._ranged(t) for t in layer.inputs]
        outputs = [self._ranged(t) for t in layer.outputs]
        with naming_layer(layer.name, layer.plugin, "configure()"):
            layer.plugin.configure(inputs, outputs)  # type: ignore[arg-type]

    def _ranged(self, tensor: Tensor) -> TensorDesc:
        free = {n: 1 for n, s in symbols(tensor.shape).items() if s.bound is None}
        least, most = (
            evaluate_shape(tensor.shape, {**free, **sizes})
            for sizes in (self._profile.minimum, self._profile.maximum)
        )
        now = build_desc(tensor.desc, Storage(tensor.format), self._profile.concretise)
        return replace(now, min_shape=least, max_shape=most)


def _was_padded(tensor: Tensor) -> bool:
    """Whether an axis other than the first had a size that was not known at its writing."""
    producer = tensor.producer
    waited = producer is not None and is_barrier(producer, {})
    read = producer.present_inputs if producer is not None and waited else ()
    known = symbols([dim for source in read for dim in source.shape])
    return any(
        found.bound is not None and name not in known
        for name, found in symbols(tensor.shape[1:]).items()
    )
