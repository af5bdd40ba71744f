"""The build: a network in, an engine out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from ... import plugins
from ...plugins import DataType, DevicePlugin, PlugrtError, ShapeError
from ..devices.cpu import release_team
from ..devices.opening import device_named
from ..devices.target import Target
from ..engine.engine import Engine
from ..engine.plan import EngineInfo
from ..explanation import Explanation, Note
from ..graph import Network
from ..graph.build_descs import Concretise, Storage
from ..graph.concrete_shapes import check_shapes
from ..passes.copying import copy_network
from ..passes.fuse import fuse_epilogues
from ..passes.fusion_timing import FusionTiming
from ..passes.hosting import bodies_of, without_kernels
from ..passes.patching import remove_dead_layers
from ..passes.precision import keep_float, lower_precision
from ..passes.simplify import simplify
from ..runtime.planned import PlannedNetwork
from ..tuning.candidates import GROWTH, Limits
from ..tuning.timer import Timer
from .alternatives import apply_alternatives
from .config import BuilderConfig
from .finish import Finisher
from .lanes import choose_lanes
from .measuring import finish_tuning, network_timer, open_timing_cache
from .network_timer import NetworkTimer
from .profiles import SizeProfile, concrete_shape, size_profile

MOST_PASSES = 4
"""How often a build chooses; after the first time little is left to measure."""


def build(network: Network, config: BuilderConfig | None = None) -> Engine:
    """Optimise a network for a device and return its engine. The network is not changed.

    Raises ShapeError when nothing is marked as output or a profile does not fit, PluginError
    when a layer offers no way to run; messages name the layer. Raises DeviceError where the
    device cannot be used, with what to do.
    """
    config = config or BuilderConfig()
    if not network.outputs:
        raise ShapeError(f"network {network.name!r} has no output; call mark_output(tensor)")
    device = device_named(config.device, network.registry)
    device.check()
    target = config.target
    formats = list(device.formats())
    profile = size_profile(network, config)
    report: list[str] = [*device.notes()]
    cache = open_timing_cache(config, device.fingerprint(), report.append)
    others = other_sizes(network, profile)
    storages = storages_for(config.precision, device, report.append)
    bench = device.tuning_bench(network.registry, config.threads)
    simplified = copy_network(network)
    simplify(simplified, report.append)
    timer = network_timer(config, simplified, cache, storages, bench, report.append)

    def plan(part: Network, tell: Callable[[str], None]) -> PlannedNetwork:
        if config.fusion:
            timing = None
            # On a GPU a pass over memory costs more than it can gain, as a rule.
            if target.is_host or timer.is_thorough:
                timing = FusionTiming(
                    timer, storages, profile.concretise, target, part.registry, limits_of(config)
                )
            fuse_epilogues(part, formats, profile.concretise, target, tell, others, timing)
        if config.eight_bits is not None:
            lower_precision(
                part, formats, profile.concretise, target, tell, kind=config.eight_bits
            )
        else:
            keep_float(part)
        remove_dead_layers(part)
        finisher = Finisher(
            storages, profile, target, timer, limits_of(config), tell, others,
        )  # fmt: skip
        return finisher.finish(part)

    def choose(part: Network, tell: Callable[[str], None]) -> PlannedNetwork:
        # On a GPU, where compiling them takes long, only where time is no object.
        if config.fusion and not timer.knows_nothing and (target.is_host or timer.is_thorough):
            measure = NetworkTimer(
                lambda part: plan(part, lambda line: None), timer, target, profile.concretise,
                profile.optimum,
            )
            apply_alternatives(
                part, measure.seconds, profile.concretise, tell, as_a_whole=not target.is_host
            )
        return plan(part, tell)

    working, planned, notes = _settled(simplified, choose, timer)
    report += notes
    info = EngineInfo(
        fingerprint=dict(device.fingerprint()),
        threads=config.threads,
        precision=config.precision,
        profiles=_ranges(profile),
        api_version=plugins.API_VERSION,
        metadata=_metadata(network),
    )
    session = device.open()
    try:
        engine = Engine(planned, info, session=session)
        choose_lanes(
            planned, session, timer, config.threads, profile.optimum, profile.concretise,
            report.append,
        )  # fmt: skip
    finally:  # what was measured is not lost
        tuning = finish_tuning(config, timer, cache, report.append)
    release_team()
    tell_of_host_layers(planned, target, report.append)
    engine.report = tuple(report)
    engine.explanation = Explanation.of(working, report, tuning)
    return engine


def _settled(
    simplified: Network, choose: Callable[[Network, Callable[[str], None]], PlannedNetwork],
    timer: Timer,
) -> tuple[Network, PlannedNetwork, list[str]]:  # fmt: skip
    """The network and its plan, chosen anew until nothing more is measured, and the notes on it.

    What was chosen first knew fewer times than a build from the timing cache will, and the two
    shall give the same plan.
    """
    for _ in range(MOST_PASSES):
        known = timer.measured
        notes: list[str] = []
        working = copy_network(simplified)
        planned = choose(working, notes.append)
        if timer.measured == known:
            break
        timer.trust()
    return working, planned, notes


def storages_for(
    precision: str, device: DevicePlugin, report: Callable[[str], None]
) -> list[Storage]:
    """How activations may be stored, the exact types first."""
    types = [DataType.FLOAT32]
    native = device.narrow_floats()
    if precision in ("bf16", "fp16"):
        wanted = DataType.BFLOAT16 if precision == "bf16" else DataType.FLOAT16
        if wanted in native:
            types.append(wanted)
        else:
            types += native[:1]
            used = f"{native[0].value} or float32" if native else "float32"
            report(f"{wanted.value} is not native to this device: layers use {used}")
    elif precision == "best":
        types += native
    return [Storage(layout, dtype) for dtype in types for layout in device.formats()]


def tell_of_host_layers(
    planned: PlannedNetwork, target: Target, report: Callable[[str], None]
) -> None:
    """Report every layer that runs beside the device, in bodies too; a layer whose body cannot
    run on the device, in place of what is inside."""
    for layer in planned.network.layers:
        bodies = [planned.body(body) for body in bodies_of(layer)]
        if layer.on_host:
            lacking = layer.plugin.type
            if bodies:
                inside = sorted({plugin.type for plugin in without_kernels(layer, target)})
                lacking = f"{', '.join(inside) or 'a layer'} in its body"
            text = f"runs on the host: {lacking} has no kernels for this device"
            report(Note(layer.name, "on the host", text))
        else:
            for body in bodies:
                tell_of_host_layers(body, target, report)


def _metadata(network: Network) -> dict[str, str]:
    for key, value in network.metadata.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise PlugrtError(
                f"network {network.name!r}: metadata {key!r} is {type(value).__name__}; keys and "
                "values must be strings (json.dumps makes one of anything)"
            )
    return dict(network.metadata)


def other_sizes(network: Network, profile: SizeProfile) -> list[Concretise]:
    """Sizes beside the optimum at which the engine must run.

    Raises ShapeError when a layer cannot work at the sizes of the profile.
    """
    for sizes in profile.distinct:
        try:
            check_shapes(network, sizes)
        except ShapeError as error:
            found = ", ".join(f"{name} = {size}" for name, size in sizes.items())
            raise ShapeError(
                f"{error} (at {found or 'the given shapes'}); give a ShapeProfile for the inputs: "
                "sizes without one count as 1"
            ) from error
    others = profile.distinct[1:]
    if profile.unlimited is not None:
        with suppress(ShapeError):  # a guess: it need not be possible
            check_shapes(network, profile.unlimited)
            others.append(profile.unlimited)
    return [partial(concrete_shape, sizes=sizes) for sizes in others]


def limits_of(config: BuilderConfig) -> Limits:
    return Limits(config.max_workspace_size, GROWTH if config.memory == "low" else None)


def _ranges(profile: SizeProfile) -> dict[str, tuple[int, int, int]]:
    return {
        name: (profile.minimum[name], profile.optimum[name], profile.maximum[name])
        for name in sorted(profile.limited)
    }
