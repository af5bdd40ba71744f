"""Numbers for symbolic sizes: from `--shape` and `--batch`, else the profile's best, else 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from plugrt import Engine, ShapeError
from plugrt.core.graph import Network
from plugrt.core.runtime.planned import PlannedNetwork
from plugrt.plugins import Dim
from plugrt.plugins.dims import evaluate_shape, symbols


def choose_sizes(
    engine: Engine, shapes: Iterable[tuple[str, tuple[int, ...]]] = (), batch: int | None = None
) -> dict[str, int]:
    """The value of every size that the engine leaves to its inputs.

    Raises ShapeError for an unknown input, a shape that does not fit or contradicts
    another one, and sizes outside the engine's profile.
    """
    network = engine.planned.network
    sizes = dict.fromkeys(network.free_symbols, 1)
    sizes.update({name: best for name, (_, best, _) in engine.info.profiles.items()})
    if batch is not None:
        sizes.update(dict.fromkeys(_batch_symbols(engine, batch), batch))
    fixed: dict[str, int] = {}
    for name, shape in shapes:
        for size_name, value in _solve(network, name, shape).items():
            if fixed.setdefault(size_name, value) != value:
                raise ShapeError(
                    f"--shape gives {size_name} as {fixed[size_name]} and as {value}; inputs "
                    "that share a size need equal values"
                )
    sizes.update(fixed)
    _check_profile(engine, sizes)
    return sizes


def input_shapes(engine: Engine, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """The shape of every input at these sizes."""
    return {name: evaluate_shape(desc.shape, sizes) for name, desc in engine.inputs.items()}


def _solve(network: Network, name: str, shape: tuple[int, ...]) -> dict[str, int]:
    inputs = {tensor.name: tensor for tensor in network.inputs}
    if name not in inputs:
        raise ShapeError(f"--shape names input {name!r}; the engine has: {', '.join(inputs)}")
    alone = Network("shape of one input", network.registry)
    alone.inputs = [inputs[name]]
    return PlannedNetwork(alone, {}).sizes_of([shape])


def _batch_symbols(engine: Engine, batch: int) -> list[str]:
    first = [desc.shape[0] for desc in engine.inputs.values() if desc.shape]
    free = [name for dim in first if isinstance(dim, Dim) for name in symbols(dim)]
    if not free and any(size != batch for size in first):
        raise ShapeError(
            f"--batch {batch} is not possible: no input leaves its first axis open; build the "
            "engine from a model with a symbolic batch"
        )
    return free


def _check_profile(engine: Engine, sizes: Mapping[str, int]) -> None:
    for name, (low, _, high) in engine.info.profiles.items():
        if not low <= sizes[name] <= high:
            raise ShapeError(
                f"size {name} is {sizes[name]}; the engine was built for {low} to {high}: build "
                "it with a wider --profile or --batch"
            )
