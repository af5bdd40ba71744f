"""A network whose build is finished: what an engine holds, and what a body is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from ...plugins import Graph, PluginError, ShapeError, TensorDesc, format_shape
from ...plugins.dims import Dim, evaluate, symbols
from ..graph import Layer, Network, Tensor
from ..memory import Aliasing, plan_memory
from .weight_store import digest


class PlannedNetwork:
    """An optimised network with its aliasing decisions, and those of its layers' bodies."""

    def __init__(
        self,
        network: Network,
        aliasing: Mapping[Layer, Aliasing],
        bodies: Mapping[int, PlannedNetwork] | None = None,
        digests: Mapping[int, str] | None = None,
    ) -> None:
        self.network = network
        self.aliasing = dict(aliasing)
        self.bodies = dict(bodies or {})
        """Planned bodies, by identity of the body's network."""
        self.lanes: int | None = None
        """How many layers may run beside each other, as the build has measured; None where a
        device has rules, or runs one at a time."""
        self._known_digests = dict(digests or {})
        network.plan_workspace = self.workspace_size

    def body(self, graph: Graph) -> PlannedNetwork:
        """The plan of a body, however deeply nested."""
        found = self.find_body(graph)
        if found is None:
            raise PluginError(f"{graph!r} is not a body of a layer of this engine")
        return found

    def find_body(self, graph: Graph) -> PlannedNetwork | None:
        """Like `body`, but None where there is none."""
        if id(graph) in self.bodies:
            return self.bodies[id(graph)]
        for planned in self.bodies.values():
            found = planned.find_body(graph)
            if found is not None:
                return found
        return None

    @cached_property
    def digests(self) -> dict[int, str]:
        """What tells the contents of constants apart, by tensor identity."""
        known = self._known_digests
        return {
            id(tensor): known[id(tensor)] if id(tensor) in known else digest(tensor.value)
            for tensor in self.network.tensors.values()
            if tensor.is_constant and tensor.value is not None
        }

    def sizes_of(self, shapes: Sequence[Sequence[int]]) -> dict[str, int]:
        """The value of every input symbol for these input shapes.

        Raises ShapeError naming the input, the shape found and the shape allowed.
        """
        return sizes_of_inputs(self.network.inputs, shapes)

    def workspace_size(self, inputs: Sequence[TensorDesc]) -> int:
        """Arena bytes of a body for these input shapes."""
        sizes = self.sizes_of([desc.sizes for desc in inputs])
        return plan_memory(self.network, sizes, self.aliasing).arena_size


def sizes_of_inputs(
    inputs: Sequence[Tensor], shapes: Sequence[Sequence[int]]
) -> dict[str, int]:
    """The value of every symbol of these inputs for these shapes.

    Raises ShapeError naming the input, the shape found and the shape allowed.
    """
    sizes: dict[str, int] = {}
    for tensor, shape in zip(inputs, shapes, strict=True):
        before = dict(sizes)
        fits = len(shape) == len(tensor.shape)
        for dim, size in zip(tensor.shape, shape, strict=False):
            name = _plain_symbol(dim)
            if name is not None:
                fits = fits and sizes.setdefault(name, int(size)) == size
            elif not isinstance(dim, Dim):
                fits = fits and dim == size
        if not fits:
            known = [f"{n} = {before[n]}" for n in symbols(tensor.shape) if n in before]
            found = ", ".join(known)
            raise ShapeError(
                f"input {tensor.name!r} has shape {format_shape(tuple(shape))}; "
                f"expected {format_shape(tensor.shape)}" + (f" with {found}" if found else "")
            )
    for tensor, shape in zip(inputs, shapes, strict=True):
        for axis, dim in enumerate(tensor.shape):
            if isinstance(dim, Dim) and evaluate(dim, sizes) != shape[axis]:
                raise ShapeError(
                    f"input {tensor.name!r}: axis {axis} is {shape[axis]}, but {dim} is "
                    f"{evaluate(dim, sizes)} for these inputs"
                )
    return sizes


def _plain_symbol(dim: object) -> str | None:
    if not isinstance(dim, Dim):
        return None
    found = symbols(dim)
    if len(found) != 1 or str(dim) not in found:
        return None
    return str(dim)
