"""Joining blobs, taking parts of them, and borders."""

from __future__ import annotations

from ..conversion import Conversion, NotExportableError
from .registry import converts

MOST_COPIES = 64
"""Bottoms of a layer that are still reasonable."""


@converts("Concatenation")
def concatenation(layer: Conversion) -> str:
    return layer.add("Concat", layer.blobs(), "concatenation", axis=layer.plugin.axis)


@converts("Slice")
def slicing(layer: Conversion) -> str:
    """From the first index to the last by Slice; then, of images, pixels at a distance by
    pooling windows of one pixel."""
    plugin, sizes = layer.plugin, layer.sizes()
    places = [range(size) for size in sizes]
    for k, axis in enumerate(plugin.axes or range(len(plugin.starts))):
        if not 0 < axis <= len(sizes):
            raise NotExportableError("images of a batch cannot be picked")
        step = plugin.steps[k] if plugin.steps else 1
        places[axis - 1] = range(sizes[axis - 1])[plugin.starts[k] : plugin.ends[k] : step]
    steps = tuple(place.step for place in places)
    if min(steps) < 1 or steps[0] > 1 or (max(steps) > 1 and len(sizes) != 3):
        raise NotExportableError(f"Caffe cannot take slices in steps of {steps}")
    blob = layer.blob()
    for axis, (place, size) in enumerate(zip(places, sizes, strict=True), start=1):
        reach = range(place.start, place[-1] + 1)
        blob = layer.add_slice(blob, f"part{axis}", axis, size, reach)
    if max(steps) > 1:
        return layer.add(
            "Pooling", [blob], "pixels", pool="MAX", kernel_size=1, stride_h=steps[1],
            stride_w=steps[2],
        )  # fmt: skip
    # A blob of its own, so that a layer bears the name: Slice has several blobs.
    return layer.add("Concat", [blob], "concatenation", axis=1)


@converts("Pad")
def padding(layer: Conversion) -> str:
    """Copies of the input times 0 are the border."""
    plugin, sizes, blob = layer.plugin, list(layer.sizes()), layer.blob()
    before, behind = (plugin.padding[start:][: len(sizes) + 1] for start in (0, len(sizes) + 1))
    if before[0] or behind[0] or min(plugin.padding) < 0:
        raise NotExportableError(f"images and sizes cannot be padded by {plugin.padding}")
    for axis in range(1, len(sizes) + 1):
        if not before[axis] and not behind[axis]:
            continue
        border = [
            _border(layer, blob, f"{side}{axis}", axis, sizes[axis - 1], wanted[axis])
            for side, wanted in (("before", before), ("behind", behind))
        ]
        parts = [*border[0], blob, *border[1]]
        blob = layer.add("Concat", parts, f"padded{axis}", axis=axis)
        sizes[axis - 1] += before[axis] + behind[axis]
    return blob


def _border(
    layer: Conversion, blob: str, suffix: str, axis: int, size: int, wanted: int
) -> list[str]:
    """Blobs that have `wanted` indices of the border's value along an axis of this size."""
    copies, rest = divmod(wanted, size)
    if copies > MOST_COPIES:
        raise NotExportableError(f"a border of {wanted} beside {size} is too wide to be formed")
    if not wanted:
        return []
    whole = layer.add("Power", [blob], suffix, scale=0.0, shift=layer.plugin.value)
    parts = [whole] * copies
    if rest:
        parts.append(layer.add_slice(whole, f"{suffix}.rest", axis, size, range(rest)))
    return parts


@converts("ReduceMax")
def maximum(layer: Conversion) -> str:
    """Over one axis: its indices apart, and the larger value of them."""
    sizes, axes = layer.sizes(), [axis % (len(layer.sizes()) + 1) for axis in layer.plugin.axes]
    if len(axes) != 1 or axes[0] == 0 or sizes[axes[0] - 1] > MOST_COPIES:
        raise NotExportableError(f"Caffe has no maximum over the axes {layer.plugin.axes}")
    parts = layer.add_split(layer.blob(), "part", axes[0], sizes[axes[0] - 1])
    blob = layer.add("Eltwise", parts, "maximum", operation="MAX") if len(parts) > 1 else parts[0]
    return layer.add_reshape(blob, "result", *layer.output_sizes)
