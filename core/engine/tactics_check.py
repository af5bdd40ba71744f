"""Whether the plug-ins of a loaded plan still offer what the plan chose.

A plan may come from another machine, another version of a plug-in, or an enemy. No kernel is
recorded for types and formats that its layer does not accept, and no tactic is trusted to
accept more than the plug-in itself says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ...plugin_registry import Registry
from ...plugins import PlanError, PlugrtError, Shape, Tactic, TacticRequest, TensorDesc
from ...plugins.dims import evaluate_shape, symbols
from ..devices.target import Target
from ..graph import Layer, Tensor
from ..memory import Aliasing
from ..runtime.planned import PlannedNetwork
from .info import EngineInfo
from .plain import one_line

Offer = tuple["str | None", Tactic]
"""(name of a further kernel or None, tactic)."""


def revalidate_tactics(
    planned: PlannedNetwork,
    registry: Registry,
    foreign: bool = False,
    info: EngineInfo | None = None,
    ordinal: int = 0,
) -> list[str]:
    """Replace every tactic by the one of its name that the plug-in offers now.

    Where there is none, the first offer by priority and name takes its place and the layer is
    configured again; each such case is a line of the result. `foreign` says that the plan was
    tuned on another machine; then one line says so first. `info` has the sizes and threads
    that the build chose for, and the device, of which `ordinal` is used. Call it
    before the plan's first use. Raises PlanError where a layer accepts no longer the stored
    types and formats, or offers nothing for them.
    """
    notes: list[str] = []
    if foreign:
        notes.append(
            "the plan was tuned on another machine; it runs with what is offered here, and "
            "plugrt.retune, or building it again, may make it faster"
        )
    sizes = {name: best for name, (_, best, _) in info.profiles.items()} if info else {}
    _Check(registry, sizes, info, notes, ordinal).check(planned)
    return notes


class _Check:
    """Checks a network and its bodies."""

    def __init__(
        self, registry: Registry, sizes: Mapping[str, int], info: EngineInfo | None,
        notes: list[str], ordinal: int,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._sizes = sizes
        self._info = info
        self._notes = notes
        info = info or EngineInfo()
        tf32 = info.precision in ("tf32", "best")
        self._target = Target(info.device, ordinal, info.threads, tf32)

    def check(self, planned: PlannedNetwork) -> None:
        for body in planned.bodies.values():
            self.check(body)
        for layer in planned.network.layers:
            where = f"layer {layer.name!r} ({layer.plugin.type})"
            try:
                self._check_layer(layer, planned.aliasing[layer])
            except PlugrtError as error:
                raise PlanError(f"{where}: {one_line(error)}") from error
            except Exception as error:
                raise PlanError(
                    f"{where}: its plug-in failed on the plan's decisions "
                    f"({type(error).__name__}: {one_line(error)}); build the plan again"
                ) from error

    def _check_layer(self, layer: Layer, aliasing: Aliasing) -> None:
        inputs = [None if t is None else self._desc(t) for t in layer.inputs]
        outputs = [self._desc(t) for t in layer.outputs]
        given: Any = tuple(inputs)
        own = given[: len(layer.own_inputs)]
        target = self._target.host if layer.on_host else self._target
        if not layer.plugin.supportsFormat(target.combination(own, outputs)):
            raise PlanError(
                f"it does not accept {_listed(inputs)} -> {_listed(outputs)} on this machine"
            )
        request = target.request(given, outputs, layer.epilogue)
        chosen = layer.plugin.tactic
        for wanted in (chosen.name, None):
            found = self._offered(layer, replace(request, name=wanted), aliasing)
            same = [o for o in found if o[0] == layer.kernel and o[1].name == chosen.name]
            exact = [o for o in same if o[1].accumulates_into == chosen.accumulates_into]
            if exact:
                layer.plugin.setTactic(exact[0][1])
                return
        if not found:
            raise PlanError(
                f"it offers no tactic for {_listed(inputs)} -> {_listed(outputs)} on this machine"
            )
        layer.kernel, tactic = min(found, key=lambda o: (-o[1].priority, o[0] or "", o[1].name))
        layer.plugin.setTactic(tactic)
        layer.plugin.configure(
            [None if t is None else self._ranged(t) for t in layer.inputs],  # type: ignore[misc]
            [self._ranged(t) for t in layer.outputs],
        )
        self._notes.append(
            f"{layer.name}: tactic {chosen.name!r} is not offered here; {tactic.name!r} runs"
        )

    def _offered(self, layer: Layer, request: TacticRequest, aliasing: Aliasing) -> list[Offer]:
        """All offers that work under the plan's sharing of memory."""
        found: list[Offer] = [(None, t) for t in layer.plugin.getTactics(request)]
        for kernel in self._registry.kernels_for(layer.plugin.type):
            if request.device not in kernel.devices:
                continue
            found += [(kernel.name, t) for t in kernel().getTactics(layer.plugin, request)]
        return [
            (name, tactic) for name, tactic in found
            if tactic.accumulates_into in (None, aliasing.in_place)
        ]

    # ---- descriptions, as the build makes them -----------------------------------------------

    def _desc(self, tensor: Tensor) -> TensorDesc:
        return replace(
            tensor.desc,
            shape=self._shape(tensor.shape, self._sizes),
            value=tensor.value if tensor.is_constant else None,
        )

    def _ranged(self, tensor: Tensor) -> TensorDesc:
        profiles = self._info.profiles if self._info else {}
        least = {name: sizes[0] for name, sizes in profiles.items()}
        most = {name: sizes[2] for name, sizes in profiles.items()}
        return replace(
            self._desc(tensor),
            min_shape=self._shape(tensor.shape, least),
            max_shape=self._shape(tensor.shape, most),
        )

    @staticmethod
    def _shape(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """A shape with free sizes as given, else 1, and data-dependent ones at their bound."""
        free = {name: 1 for name, found in symbols(shape).items() if found.bound is None}
        found = evaluate_shape(shape, {**free, **sizes})
        if min(found, default=0) < 0:
            raise PlanError(f"a tensor has the shape {found} at the build's sizes")
        return found


def _listed(descs: Iterable[TensorDesc | None]) -> str:
    return ", ".join("-" if desc is None else str(desc) for desc in descs)
