"""The library's own pooling kernels, under the twin's own layer: what is compared here is not C
code but how the plug-in around it is treated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plugrt.builtin_layers import kernels
from plugrt.builtin_layers.pooling import AveragePooling, MaxPooling, native_kernel
from plugrt.plugins import Epilogue, Kernel, LayerPlugin, Tactic, TensorDesc

LAYERS: dict[str, type[LayerPlugin]] = {"max": MaxPooling, "average": AveragePooling}


def has_kernel(source: TensorDesc) -> bool:
    """Whether a kernel takes the tensor."""
    return native_kernel.supports(source)


def kernel(kind: str, source: TensorDesc) -> Kernel:
    """The kernel for a "max" or an "average" of the tensor."""
    name = f"plugrt_{kind}_pooling_{native_kernel.TYPES[source.dtype]}"
    return kernels.kernel(name, native_kernel.LAYOUT)


def for_gpu(
    kind: str, attributes: Mapping[str, Any], tactic: Tactic, epilogue: Epilogue
) -> LayerPlugin:
    """What chooses and launches the library's CUDA kernels for a "max" or an "average"."""
    layer = LAYERS[kind](**attributes)
    layer.setTactic(tactic)
    layer.setEpilogue(epilogue)
    return layer
