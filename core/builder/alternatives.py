"""Other forms of parts of the graph, run beside what they would replace.

A layer proposes patches (`alternatives`). Both forms are built as networks of their own, with
the layers that read the results, since these decide what a form is worth: whether a slice is
read in place, say. The faster one stays. On a GPU, where one layer more or less counts, and so does
what a part reads from outside, the whole network is built in both forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...plugins import LayerPlugin, Patch
from ..graph import Layer, Network, Tensor
from ..graph.build_descs import Concretise
from ..graph.inference import infer_outputs
from ..graph.naming import naming_layer
from ..passes.change_notes import alternative_note
from ..passes.copying import copy_network, copy_plugin, graph_attributes
from ..passes.patch_tensors import PatchTensors
from ..passes.patching import commit_patch, layers_replaced
from .network_timer import GAIN

Measure = Callable[[Network, Network], "tuple[float, float] | None"]
"""Seconds of one run of what is there and of what is proposed; None where it cannot be told."""


WHOLE_GAIN = 0.005
"""A proposal must make a whole network faster by so much."""


def apply_alternatives(
    network: Network, measure: Measure, concretise: Concretise, report: Callable[[str], None],
    *, as_a_whole: bool = False,
) -> None:  # fmt: skip
    """Apply, in place and from first to last layer, every proposal that is faster, in its part of
    the network or in the network `as_a_whole`."""
    for layer in list(network.layers):
        for body in graph_attributes(layer.plugin).values():
            apply_alternatives(body, measure, concretise, report)
    for layer in list(network.layers):
        if layer not in network.layers:
            continue
        with naming_layer(layer.name, layer.plugin, "alternatives()"):
            patches = list(layer.plugin.alternatives(layer))
            _try(network, layer, patches, measure, concretise, report, as_a_whole)


def _try(
    network: Network, layer: Layer, patches: Sequence[Patch], measure: Measure,
    concretise: Concretise, report: Callable[[str], None], as_a_whole: bool,
) -> None:  # fmt: skip
    """Apply the fastest of `patches`, if it is faster than what is there."""
    found: list[tuple[Patch, float, float]] = []
    for number, patch in enumerate(patches):
        forms = (
            (copy_network(network), _changed(network, layer, number)) if as_a_whole
            else (_present(network, patch, concretise), _proposed(network, patch, concretise))
        )
        measured = measure(*forms)
        if measured is None:
            continue
        found.append((patch, *measured))
    gain = WHOLE_GAIN if as_a_whole else GAIN
    faster = [(before - after, patch) for patch, before, after in found
              if after < before * (1 - gain)]  # fmt: skip
    best = max(faster, key=lambda pair: pair[0])[1] if faster else None
    for patch, before, after in found:
        gone = layers_replaced(network, patch)
        report(alternative_note(layer, gone, patch, before, after, taken=patch is best))
    if best is not None:
        commit_patch(network, best)


class _Part:
    """A part of a network as a network: what it reads from outside becomes its inputs, at the
    sizes that the build is for."""

    def __init__(self, whole: Network, name: str, concretise: Concretise) -> None:
        self.network = Network(name, whole.registry)
        self._concretise = concretise
        self.known: dict[int, Tensor] = {}

    def tensor(self, outer: Tensor) -> Tensor:
        """The part's own tensor for one of the whole network."""
        if id(outer) not in self.known:
            if outer.is_constant and outer.value is not None:
                made = self.network.add_constant(self.network.unique_name(outer.name), outer.value)
            else:
                name = self.network.unique_name(outer.name)
                made = self.network.add_input(name, outer.dtype, self._concretise(outer.shape))
            made.quantization = outer.quantization
            self.known[id(outer)] = made
        return self.known[id(outer)]

    def copy(self, layer: Layer) -> None:
        """Add a copy of a layer of the whole network."""
        inputs = [None if tensor is None else self.tensor(tensor) for tensor in layer.inputs]
        twin = self.add(copy_plugin(layer.plugin), inputs, layer.name)
        for old, new in zip(layer.outputs, twin.outputs, strict=True):
            new.quantization = old.quantization
        self.known.update(
            {id(old): new for old, new in zip(layer.outputs, twin.outputs, strict=True)}
        )

    def add(
        self, plugin: LayerPlugin, inputs: Sequence[Tensor | None], name: str
    ) -> Layer:
        """Add a new layer."""
        descs = infer_outputs(name, plugin, [None if t is None else t.desc for t in inputs])
        return self.network.insert_layer(len(self.network.layers), plugin, inputs, name, descs)

    def finish(self, whole: Network, patch: Patch) -> Network:
        """With the layers that read what is replaced; what nobody reads is an output."""
        replaced = [old for old, _ in patch.replacements if isinstance(old, Tensor)]
        for reader in _readers(whole, patch, replaced):
            self.copy(reader)
        outputs = {id(t): t for layer in self.network.layers for t in layer.outputs}
        kept = [self.known[id(tensor)] for tensor in replaced if tensor.is_output]
        unread = [t for t in outputs.values() if not t.uses]
        for tensor in dict.fromkeys((*unread, *kept)):
            self.network.mark_output(tensor)
        return self.network


def _changed(network: Network, layer: Layer, number: int) -> Network:
    """A copy of the whole network with a layer's proposal of this number."""
    copy = copy_network(network)
    twin = copy.layers[network.layers.index(layer)]
    commit_patch(copy, list(twin.plugin.alternatives(twin))[number])
    return copy


def _present(network: Network, patch: Patch, concretise: Concretise) -> Network:
    part = _Part(network, "present", concretise)
    for layer in layers_replaced(network, patch):
        part.copy(layer)
    return part.finish(network, patch)


def _proposed(network: Network, patch: Patch, concretise: Concretise) -> Network:
    part = _Part(network, "proposed", concretise)
    tensors = PatchTensors(part.network, part.tensor)
    for new in patch.layers:
        inputs = [tensors.resolve(tensor) for tensor in new.inputs]
        plugin = network.registry.admit(copy_plugin(new.plugin))
        tensors.made.append(part.add(plugin, inputs, new.name))
    for old, replacement in patch.replacements:
        found = tensors.resolve(replacement)
        if found is not None:
            part.known[id(old)] = found
    return part.finish(network, patch)


def _readers(network: Network, patch: Patch, replaced: Sequence[Tensor]) -> list[Layer]:
    """The layers that read what is replaced, in execution order."""
    gone = set(layers_replaced(network, patch))
    reading: Mapping[Layer, None] = {
        use: None for tensor in replaced for use in tensor.uses if use not in gone
    }
    return [layer for layer in network.layers if layer in reading]
