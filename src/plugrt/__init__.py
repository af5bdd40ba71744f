"""plugrt: an inference engine in which every layer is a plug-in and a plug-in costs nothing.

    import numpy as np
    import plugrt

    network = plugrt.Network()
    image = network.add_input("image", "float32", ["N", 3, 32, 32])
    weights = np.random.default_rng(0).standard_normal((8, 3, 3, 3), np.float32)
    x = network.add_convolution(image, weights, padding=(1, 1, 1, 1)).output
    x = network.add_leaky_relu(x, slope=0.1).output
    network.mark_output(x, "features")
    with plugrt.build(network) as engine, engine.create_context() as context:
        result = context.execute({"image": np.zeros((1, 3, 32, 32), np.float32)})["features"]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from plugrt.core.engine import Engine
from plugrt.core.graph import Layer, Tensor
from plugrt.core.runtime.context import ExecutionContext, LayerTime
from plugrt.core.runtime.runtime import Runtime
from plugrt.core.runtime.throughput import ThroughputPool
from plugrt.network import Network
from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    CalibrationError,
    DataType,
    DeviceError,
    Format,
    LayerAttributeError,
    LayerPlugin,
    ModelError,
    PlanError,
    PluginError,
    PlugrtError,
    ShapeError,
    symbol,
)

if TYPE_CHECKING:
    from plugrt.core.builder.build import build
    from plugrt.core.builder.config import BuilderConfig, ShapeProfile
    from plugrt.core.builder.replan import retune
    from plugrt.core.devices.cuda.pinned import pinned_empty
    from plugrt.core.tuning.progress import Progress as TuningProgress
    from plugrt.core.tuning.timing_cache import TimingCache

__version__ = "0.1.0"

__all__ = [
    "BuilderConfig",
    "CalibrationError",
    "DataType",
    "DeviceError",
    "Engine",
    "ExecutionContext",
    "Format",
    "Layer",
    "LayerAttributeError",
    "LayerPlugin",
    "LayerTime",
    "ModelError",
    "Network",
    "PlanError",
    "PluginError",
    "PlugrtError",
    "Registry",
    "Runtime",
    "ShapeError",
    "ShapeProfile",
    "Tensor",
    "ThroughputPool",
    "TimingCache",
    "TuningProgress",
    "build",
    "pinned_empty",
    "retune",
    "symbol",
]

_LATER = {
    "BuilderConfig": ("plugrt.core.builder.config", "BuilderConfig"),
    "ShapeProfile": ("plugrt.core.builder.config", "ShapeProfile"),
    "TimingCache": ("plugrt.core.tuning.timing_cache", "TimingCache"),
    "TuningProgress": ("plugrt.core.tuning.progress", "Progress"),
    "build": ("plugrt.core.builder.build", "build"),
    "pinned_empty": ("plugrt.core.devices.cuda.pinned", "pinned_empty"),
    "retune": ("plugrt.core.builder.replan", "retune"),
}
"""What a process that only runs plans on the CPU has no use for: imported when first asked for."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LATER[name]
    found = globals()[name] = getattr(import_module(module), attribute)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
