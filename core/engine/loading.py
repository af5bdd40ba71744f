"""What is read and decided when a plan is loaded, before its plug-ins are initialised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ...plugin_registry import Registry
from ...plugins import DevicePlugin, DeviceSession, PlanError, PlugrtError, Tactic
from ..devices.cpu import CpuDevice
from ..devices.opening import device_named
from ..explanation import Explanation
from ..runtime.cache_folder import is_enabled
from ..runtime.code_identity import code_identity
from ..runtime.packed_cache import PackedCache
from ..runtime.plan_source import PlanSource
from ..runtime.planned import PlannedNetwork
from .late_checks import LateChecks
from .plan import EngineInfo, read_code, read_plan, revalidate_tactics

LEAST_BYTES = 4 << 20
"""Smaller plans are packed sooner than anything is looked up."""


@dataclass(frozen=True)
class LoadedPlan:
    """A plan that may run here, on `session`. `warnings` are for the user."""

    planned: PlannedNetwork
    info: EngineInfo
    session: DeviceSession
    report: Sequence[str] = ()
    explanation: Explanation | None = None
    warnings: Sequence[str] = ()


def load_plan(
    data: memoryview, registry: Registry, device: str | None, source: PlanSource,
    release: Callable[[], None], trusted: bool = False,
) -> LoadedPlan:  # fmt: skip
    """Read a plan, and see that its choices are possible here, or make others. Of a `trusted` one
    the device gets the machine code too.

    Raises PlanError and DeviceError like `Engine.load`. Whatever a damaged plan leads to, its
    checksums speak first.
    """
    checks = LateChecks()
    try:
        planned, info = read_plan(data, registry, checks)
        chosen, without = _device(device, info, registry)
        foreign = dict(chosen.fingerprint()) != dict(info.fingerprint)
        cache = None if foreign else _cache(chosen, planned, registry, source, release)
        try:
            if chosen.name != info.device:
                raise PlanError(f"it is for the device {info.device!r}")
            report = _validated(planned, registry, foreign, info, chosen.ordinal, cache)
        except PlanError as error:
            checks.wait()
            return _planned_anew(planned, info, chosen, [*without], error)
    finally:
        checks.wait()
    release()  # checksums have read everything
    session = chosen.open(release) if cache is None else CpuDevice().open(release, cache)
    if trusted and not foreign:
        session.lend_code({key: bytes(code) for key, code in read_code(data).items()})
    return LoadedPlan(planned, info, session, report, warnings=report[:1] if foreign else ())


def _device(
    wanted: str | None, info: EngineInfo, registry: Registry
) -> tuple[DevicePlugin, Sequence[str]]:
    """Where a plan is to run, and what there is to say of it. Raises DeviceError for a device
    that the user named and that cannot be used."""
    try:
        found = device_named(wanted or info.device, registry)
        found.check()
        return found, ()
    except PlugrtError as error:
        if wanted is not None or info.device == CpuDevice.name:
            raise
        return CpuDevice(), [f"{error}; the plan runs on the CPU"]


def _cache(
    device: DevicePlugin, planned: PlannedNetwork, registry: Registry, source: PlanSource,
    release: Callable[[], None],
) -> PackedCache | None:  # fmt: skip
    """The cache of this plan; None where it would not pay, or what it says could be stale."""
    if device.name != CpuDevice.name or source.nbytes < LEAST_BYTES or not is_enabled():
        return None
    code = code_identity(planned, registry)
    return None if code is None else PackedCache(source, code, release)


def _validated(
    planned: PlannedNetwork, registry: Registry, foreign: bool, info: EngineInfo, ordinal: int,
    cache: PackedCache | None,
) -> list[str]:  # fmt: skip
    """What `revalidate_tactics` says. The same plan, code and machine need not be asked twice."""
    if cache is not None and cache.is_validated:
        return []
    stored = list(_tactics(planned))
    report = revalidate_tactics(planned, registry, foreign, info, ordinal)
    if cache is not None and not report and stored == list(_tactics(planned)):
        cache.mark_validated()
    return report


def _tactics(planned: PlannedNetwork) -> Iterator[Tactic]:
    """The tactics, without what is known of them at builds only."""
    for layer in planned.network.layers:
        yield replace(layer.plugin.tactic, weight_growth=1.0)
    for body in planned.bodies.values():
        yield from _tactics(body)


def _planned_anew(
    planned: PlannedNetwork, info: EngineInfo, device: DevicePlugin, warnings: Sequence[str],
    reason: PlanError,
) -> LoadedPlan:  # fmt: skip
    """The plan's graph with choices that are possible here, found by rules.

    Raises PlanError with `reason` where there are none.
    """
    from ..builder.replan import replan_by_rules  # which makes engines, and is rarely needed

    place = f"{device.name}:{device.ordinal}" if device.ordinal else device.name
    try:
        found = replan_by_rules(planned, info, place)
    except PlugrtError as error:
        raise PlanError(f"{reason}; nor can it be planned anew: {error}") from error
    text = (
        f"the plan's own choices are not possible on this machine ({reason}); it runs by rules: "
        "plugrt.retune measures what is fastest here"
    )
    told = [*warnings, text]
    return LoadedPlan(
        found.planned, found.info, found.session, [*told, *found.report], found.explanation, told
    )
