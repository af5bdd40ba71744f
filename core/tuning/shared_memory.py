"""What of a layer's time is left when it shares memory, as it will where that is legal.

Alone, every layer copies: it is timed on buffers of its own. In a network a reshape is its input
seen otherwise, and what a concatenation reads was written in place.
"""

from __future__ import annotations

from typing import Any

from ...plugins import SliceOf, TensorView, ViewOf
from ..graph import Layer
from .candidates import Candidate


def share_left(layer: Layer, candidate: Candidate) -> float:
    """The part of the time that remains, from 0 to 1, by what the layer's plug-in offers.

    Only gapless places count: whether anybody takes gaps, and gains by it, is decided later.
    """
    given: Any = candidate.inputs[: len(layer.own_inputs)]
    if layer.epilogue or any(desc is None for desc in given):
        return 1.0
    offers = layer.plugin.aliases(given, candidate.outputs)
    if not offers:
        return 1.0
    if {offer.output for offer in offers if _is_free_view(layer, offer)} == set(
        range(len(layer.outputs))
    ):
        return 0.0
    total = sum(desc.nbytes for desc in given)
    free = sum(
        given[offer.input].nbytes for offer in offers if _is_free_slice(layer, candidate, offer)
    )
    return 1.0 - free / total if total else 1.0


def _is_free_view(layer: Layer, offer: object) -> bool:
    if not isinstance(offer, ViewOf) or offer.strides is not None:
        return False
    source = layer.inputs[offer.input]
    return source is not None and not source.is_constant and not layer.outputs[
        offer.output
    ].is_output


def _is_free_slice(layer: Layer, candidate: Candidate, offer: object) -> bool:
    if not isinstance(offer, SliceOf):
        return False
    tensor, desc = layer.inputs[offer.input], candidate.inputs[offer.input]
    if tensor is None or desc is None or tensor.producer is None or tensor.is_output:
        return False
    if layer.inputs.count(tensor) > 1:
        return False
    parent = TensorView(candidate.outputs[offer.output], slot=0)
    return parent.slice(offer.axis, offer.start, desc.sizes[offer.axis]).desc.is_dense
