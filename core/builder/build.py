"""The build: a network in, an engine out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from ... import plugins
from ...plugins import DataType, PlugrtError, ShapeError
from ..devices.cpu import CpuDevice
from ..engine.engine import Engine
from ..engine.plan import EngineInfo
from ..graph import Network
from ..graph.build_descs import Concretise, Storage
from ..graph.concrete_shapes import check_shapes
from ..passes.copying import copy_network
from ..passes.fuse import fuse_epilogues
from ..passes.patching import remove_dead_layers
from ..passes.precision import keep_float, lower_precision
from ..passes.simplify import simplify
from ..tuning.timer import Timer
from ..tuning.timing_cache import TimingCache
from .config import BuilderConfig
from .finish import Finisher
from .profiles import SizeProfile, concrete_shape, size_profile


def build(network: Network, config: BuilderConfig | None = None) -> Engine:
    """Optimise a network for the CPU and return its engine. The network is not changed.

    Raises ShapeError when nothing is marked as output or a profile does not fit, PluginError
    when a layer offers no way to run; messages name the layer.
    """
    config = config or BuilderConfig()
    if not network.outputs:
        raise ShapeError(f"network {network.name!r} has no output; call mark_output(tensor)")
    device = CpuDevice()
    formats = list(device.formats())
    profile = size_profile(network, config)
    report: list[str] = []
    cache, cache_file = _timing_cache(config, device)
    timer = Timer(
        cache, config.threads, network.registry, config.tune != "off", report.append
    )

    others = _other_sizes(network, profile)
    working = copy_network(network)
    simplify(working, report.append)
    if config.fusion:
        fuse_epilogues(
            working, formats, profile.concretise, config.threads, report.append, others
        )
    if config.precision in ("int8", "best"):
        lower_precision(working, formats, profile.concretise, config.threads, report.append)
    else:
        keep_float(working)
    remove_dead_layers(working)
    storages = _storages(config.precision, device, report.append)
    finisher = Finisher(
        storages, profile, config.threads, timer, config.max_workspace_size, report.append,
        others,
    )  # fmt: skip
    planned = finisher.finish(working)
    if cache_file is not None and timer.measured:
        cache.save(cache_file)
    info = EngineInfo(
        fingerprint=dict(device.fingerprint()),
        threads=config.threads,
        precision=config.precision,
        profiles=_limits(profile),
        api_version=plugins.API_VERSION,
        metadata=_metadata(network),
    )
    return Engine(planned, info, report=report)


def _storages(
    precision: str, device: CpuDevice, report: Callable[[str], None]
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
            report(f"{wanted.value} is not native to this processor: layers use {used}")
    elif precision == "best":
        types += native
    return [Storage(layout, dtype) for dtype in types for layout in device.formats()]


def _metadata(network: Network) -> dict[str, str]:
    for key, value in network.metadata.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise PlugrtError(
                f"network {network.name!r}: metadata {key!r} is {type(value).__name__}; keys and "
                "values must be strings (json.dumps makes one of anything)"
            )
    return dict(network.metadata)


def _other_sizes(network: Network, profile: SizeProfile) -> list[Concretise]:
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


def _limits(profile: SizeProfile) -> dict[str, tuple[int, int, int]]:
    return {
        name: (profile.minimum[name], profile.optimum[name], profile.maximum[name])
        for name in sorted(profile.limited)
    }


def _timing_cache(
    config: BuilderConfig, device: CpuDevice
) -> tuple[TimingCache, Path | None]:
    given = config.timing_cache
    if isinstance(given, TimingCache):
        return given, None
    if given is None:
        return TimingCache(device.fingerprint()), None
    path = Path(given)
    if path.is_dir():
        raise PlugrtError(f"timing cache {path} is a folder; give a file name")
    return TimingCache.load(path, device.fingerprint()), path
