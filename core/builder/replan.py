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
from .lanes import choose_lanes
from .measuring import finish_tuning, network_timer, open_timing_cache
from .profiles import SizeProfile

UNMIXED = ("fp32", "tf32", "int8", "fp8")
"""Precisions whose builds store no float in 16 bits."""


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
    work = _Replanning(planned, info, config or config_like(info, info.device))
    engine = Engine(work.planned, work.info, session=work.session)
    work.choose_lanes()
    made = work.finish()
    engine.report, engine.explanation = tuple(made.report), made.explanation
    return engine


def _content(plan: PlanSource) -> bytes:
    if isinstance(plan, bytes):
        return plan
    try:
        return Path(plan).read_bytes()
    except OSError as error:
        raise PlanError(f"plan {os.fspath(plan)} cannot be read: {error.strerror}") from None


def replan_by_rules(planned: PlannedNetwork, info: EngineInfo, device: str) -> Replanned:
    """What a plan runs with where its own choices are not possible. Changes `planned`."""
    return _Replanning(planned, info, config_like(info, device, tune="off")).finish()


def config_like(info: EngineInfo, device: str, tune: str = "fast") -> BuilderConfig:
    """A configuration for what the plan was built for, on a device."""
    precision = info.precision if info.precision in PRECISIONS else "fp32"
    return BuilderConfig(device=device, precision=precision, threads=info.threads, tune=tune)


class _Replanning:
    """Decides for a network from a plan as the end of a build does. Changes `planned`."""

    def __init__(
        self, planned: PlannedNetwork, info: EngineInfo, config: BuilderConfig
    ) -> None:
        network = planned.network
        make_portable(network, narrowed=info.precision not in UNMIXED)
        device = device_named(config.device, network.registry)
        device.check()
        self._config = config
        self._target = target = config.target
        self._report: list[str] = []
        report = self._report.append
        self._profile = profile = _profile(network, info)
        storages = storages_for(config.precision, device, report)
        if config.eight_bits is not None:
            formats = list(device.formats())
            lower_precision(
                network, formats, profile.concretise, target, report, kind=config.eight_bits
            )
        else:
            keep_float(network)
        fingerprint = dict(device.fingerprint())
        self._cache = open_timing_cache(config, fingerprint, report)
        bench = device.tuning_bench(network.registry, config.threads)
        self._timer = network_timer(config, network, self._cache, storages, bench, report)
        finisher = Finisher(
            storages, profile, target, self._timer, limits_of(config), report,
            other_sizes(network, profile),
        )  # fmt: skip
        self.planned = finisher.finish(network)
        self.info = replace(
            info, fingerprint=fingerprint, threads=config.threads, precision=config.precision,
            api_version=API_VERSION, plugrt_version=installed_version(),
        )  # fmt: skip
        self.session = device.open()

    def choose_lanes(self) -> None:
        """Measure what only whole inferences can tell, once the layers are initialised."""
        choose_lanes(
            self.planned, self.session, self._timer, self._config.threads, self._profile.optimum,
            self._profile.concretise, self._report.append,
        )  # fmt: skip

    def finish(self) -> Replanned:
        """Keep the times, and tell what was decided."""
        tuning = finish_tuning(self._config, self._timer, self._cache, self._report.append)
        release_team()
        tell_of_host_layers(self.planned, self._target, self._report.append)
        explanation = Explanation.of(self.planned.network, self._report, tuning)
        return Replanned(self.planned, self.info, self._report, explanation, self.session)


def _profile(network: Network, info: EngineInfo) -> SizeProfile:
    free = dict.fromkeys(network.free_symbols, (1, 1, 1))
    ranges = {**free, **info.profiles}
    least, best, largest = ({n: r[k] for n, r in ranges.items()} for k in range(3))
    return SizeProfile(least, best, largest, frozenset(info.profiles))
