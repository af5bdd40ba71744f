"""Deciding anew for a network that comes from a plan: its formats, types and tactics."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Union

from ...plugin_registry import Registry
from ...plugin_registry.registry import Plugins
from ...plugins import API_VERSION, DeviceSession, PlanError
from ..devices.cpu import release_team
from ..devices.opening import device_named
from ..engine.engine import Engine
from ..engine.info import EngineInfo, installed_version
from ..engine.plan import read_plan
from ..explanation import Explanation
from ..graph import Network
from ..passes.portable import make_portable
from ..passes.precision import keep_float, lower_precision
from ..runtime.planned import PlannedNetwork
from .build import limits_of, other_sizes, storages_for, tell_of_host_layers
from .config import PRECISIONS, BuilderConfig
from .finish import Finisher
from .measuring import finish_tuning, network_timer, open_timing_cache
from .profiles import SizeProfile


class Replanned(NamedTuple):
    """What an engine is made of."""

    planned: PlannedNetwork
    info: EngineInfo
    report: list[str]
    explanation: Explanation
    session: DeviceSession


PlanSource = Union[str, "os.PathLike[str]", bytes]


def retune(
    plan: PlanSource, config: BuilderConfig | None = None, plugins: Plugins = None
) -> Engine:
    """An engine from a plan file or its bytes, with formats, types and tactics chosen anew for
    this machine and the device that `config` names, by measuring unless `config` says otherwise.

    Without `config`, device, precision and threads are those of the plan. Sizes always are, and
    what was fused stays fused. Weights that the plan has in fewer bits gain none. Raises PlanError
    for a damaged plan, PluginError when a layer offers no way to run.
    """
    registry = Registry.of(plugins)
    planned, info = read_plan(_content(plan), registry)
    made = replan(planned, info, config or config_like(info, info.device))
    return Engine(made.planned, made.info, made.report, made.explanation, session=made.session)


def _content(plan: PlanSource) -> bytes:
    if isinstance(plan, bytes):
        return plan
    try:
        return Path(plan).read_bytes()
    except OSError as error:
        raise PlanError(f"plan {os.fspath(plan)} cannot be read: {error.strerror}") from None


def replan_by_rules(planned: PlannedNetwork, info: EngineInfo, device: str) -> Replanned:
    """What a plan runs with where its own choices are not possible. Changes `planned`."""
    return replan(planned, info, config_like(info, device, tune="off"))


def config_like(info: EngineInfo, device: str, tune: str = "fast") -> BuilderConfig:
    """A configuration for what the plan was built for, on a device."""
    precision = info.precision if info.precision in PRECISIONS else "fp32"
    return BuilderConfig(device=device, precision=precision, threads=info.threads, tune=tune)


def replan(planned: PlannedNetwork, info: EngineInfo, config: BuilderConfig) -> Replanned:
    """Decide for a network from a plan as the end of a build does. Changes `planned`."""
    network = planned.network
    make_portable(network, narrowed=info.precision not in ("fp32", "tf32", "int8"))
    device = device_named(config.device, network.registry)
    device.check()
    target = config.target
    report: list[str] = []
    profile = _profile(network, info)
    storages = storages_for(config.precision, device, report.append)
    if config.precision in ("int8", "best"):
        formats = list(device.formats())
        lower_precision(network, formats, profile.concretise, target, report.append)
    else:
        keep_float(network)
    cache = open_timing_cache(config, device.fingerprint(), report.append)
    bench = device.tuning_bench(network.registry, config.threads)
    timer = network_timer(config, network, cache, storages, bench, report.append)
    finisher = Finisher(
        storages, profile, target, timer, limits_of(config), report.append,
        other_sizes(network, profile),
    )  # fmt: skip
    made = finisher.finish(network)
    tuning = finish_tuning(config, timer, cache, report.append)
    release_team()
    tell_of_host_layers(made, report.append)
    here = replace(
        info, fingerprint=dict(device.fingerprint()), threads=config.threads,
        precision=config.precision, api_version=API_VERSION, plugrt_version=installed_version(),
    )  # fmt: skip
    return Replanned(made, here, report, Explanation.of(network, report, tuning), device.open())


def _profile(network: Network, info: EngineInfo) -> SizeProfile:
    free = dict.fromkeys(network.free_symbols, (1, 1, 1))
    ranges = {**free, **info.profiles}
    least, best, largest = ({n: r[k] for n, r in ranges.items()} for k in range(3))
    return SizeProfile(least, best, largest, frozenset(info.profiles))
