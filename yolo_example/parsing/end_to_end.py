"""Detectors as one network: pictures in, boxes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plugrt import Network
from plugrt.plugins import DataType, ModelError

from ..layers import AnchorLayer
from ..layers.head_descriptions import describe_head, unsupported
from ..preparation import Preparation
from ..preparation.preparing import CHANNELS

PICTURES, BOXES, COUNTS = "pictures", "boxes", "counts"
"""Names of the input and the outputs."""

DEFAULT_NMS = "default"


def end_to_end(
    network: Network, *, letter_box: bool | None = None, nms_kind: str | None = DEFAULT_NMS,
    picture_size: tuple[int, int] | None = None, depth: int = 3, **options: Any,
) -> Network:  # fmt: skip
    """A detector's network with the preparation of pictures before it and the search for boxes
    behind it: `pictures` uint8 [N, H, W, depth] -> `boxes` float32 [N, limit, 6], `counts` int64
    [N], as the layers Darknet.PreparePictures and Darknet.Boxes say.

    `network` is one of DarknetParser, whose outputs all come from yolo or region layers; it
    gives its other layers away, do not build it any more. `letter_box` None takes what the
    definition says, as does `nms_kind` None. Without a `picture_size` (height, width) any will
    do. `options` are further attributes of Darknet.Boxes: threshold, overlap, limit, capacity.

    Raises ModelError where `why_not_end_to_end` has a reason.
    """
    reason = why_not_end_to_end(network)
    if reason is not None:
        raise ModelError(f"network {network.name!r} cannot be made end to end: {reason}")
    heads: list[Any] = [tensor.producer for tensor in network.outputs]
    plugins = [head.plugin for head in heads]
    (given,) = network.inputs
    batch, channels, height, width = given.shape
    boxed = plugins[0].letter_box if letter_box is None else letter_box
    kind = Preparation.LETTER_BOX if boxed else Preparation.STRETCHED
    made = Network(network.name, network.registry)
    made.metadata.update(network.metadata)
    size = picture_size or ("height", "width")
    pictures = made.add_input(PICTURES, DataType.UINT8, (batch, *size, depth))
    prepared = made.add_layer(
        "Darknet.PreparePictures", [pictures], given.name, height=height, width=width,
        channels=channels, preparation=kind.value,
    )  # fmt: skip
    tensors = _copy_layers(network, made, {id(given): prepared.output}, leave_out=heads)
    last = plugins[-1]
    found = made.add_layer(
        "Darknet.Boxes", [tensors[id(head.inputs[0])] for head in heads], BOXES,
        heads=tuple(map(describe_head, plugins)), names=plugins[0].names,
        nms_kind=last.nms_kind if nms_kind is None else nms_kind, beta_nms=last.beta_nms,
        **options,
    )  # fmt: skip
    for tensor, name in zip(found.outputs, (BOXES, COUNTS), strict=True):
        made.mark_output(tensor, name)
    return made


def why_not_end_to_end(network: Network) -> str | None:
    """Why `end_to_end` refuses a network, None where it does not."""
    shapes = [tensor.shape for tensor in network.inputs]
    sizes = [extent for shape in shapes for extent in shape[1:] if isinstance(extent, int)]
    if len(shapes) != 1 or len(sizes) != 3:
        return "it does not take pictures of one size"
    if sizes[0] not in CHANNELS:
        return f"it takes pictures of {sizes[0]} channels"
    classes: set[int] = set()
    for tensor in network.outputs:
        head = tensor.producer
        if head is None or not isinstance(head.plugin, AnchorLayer):
            return f"output {tensor.name!r} is not that of a yolo or region layer"
        reason = unsupported(head.plugin)
        if reason is not None:
            return f"output {tensor.name!r}: {reason}"
        if tensor.consumers:
            return f"output {tensor.name!r}: layer {tensor.consumers[0].name!r} reads it, too"
        classes.add(head.plugin.classes)
    if len(classes) > 1:
        return f"its heads have {' and '.join(map(str, sorted(classes)))} classes"
    return None


def _copy_layers(
    source: Network, target: Network, tensors: dict[int, Any], leave_out: Sequence[Any]
) -> dict[int, Any]:
    """Give all layers but some to another network, and return its tensors by the identity of
    those that they stand for."""

    def copied(tensor: Any) -> Any:
        if tensor is not None and id(tensor) not in tensors:  # a constant
            tensors[id(tensor)] = target.add_constant(tensor.name, tensor.value)
            tensors[id(tensor)].quantization = tensor.quantization
        return None if tensor is None else tensors[id(tensor)]

    for layer in source.layers:
        if layer in leave_out:
            continue
        made = target.add_layer(layer.plugin, [copied(t) for t in layer.inputs], layer.name)
        for old, new in zip(layer.outputs, made.outputs, strict=True):
            new.quantization = old.quantization
            tensors[id(old)] = new
    return tensors
