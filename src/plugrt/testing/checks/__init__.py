"""The checks of the conformance kit, in the order of the report.

A check is a function of the Subject. It returns when all is well, and raises CheckFailure,
NotApplicable or Hint else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..subject import Subject
from .batch import batch_invariance
from .casts import casts
from .contract import class_keeps_contract
from .engines import through_an_engine
from .fusion import fusion_changes_nothing
from .integers import integer_types
from .lifecycle import nothing_leaks, terminate_is_safe
from .quantized import quantized_types
from .random_shapes import random_shapes
from .recordable import could_be_recordable
from .references import every_tactic, narrow_types
from .replay import recording_reads_its_inputs, shared_instance
from .serialisation import clones, damaged_state, round_trip
from .shapes import output_shapes, symbolic_shapes
from .strided import slices

Check = Callable[[Subject], None]

CHECKS: Mapping[str, Check] = {
    "contract": class_keeps_contract,
    "output shapes": output_shapes,
    "symbolic shapes": symbolic_shapes,
    "every tactic and format": every_tactic,
    "16-bit floats": narrow_types,
    "integers": integer_types,
    "int8": quantized_types,
    "casts": casts,
    "slices of larger tensors": slices,
    "fusion on and off": fusion_changes_nothing,
    "replay": recording_reads_its_inputs,
    "shared by two contexts": shared_instance,
    "batch invariance": batch_invariance,
    "random shapes": random_shapes,
    "through an engine": through_an_engine,
    "serialise and deserialise": round_trip,
    "damaged state": damaged_state,
    "clone": clones,
    "terminate": terminate_is_safe,
    "leaks": nothing_leaks,
    "recordable": could_be_recordable,
}
"""Name in reports -> check."""

KERNEL_CHECKS = (
    "every tactic and format", "16-bit floats", "integers", "int8", "casts",
    "slices of larger tensors", "fusion on and off", "replay", "shared by two contexts",
    "batch invariance", "random shapes",
)  # fmt: skip
"""Those that run kernels, and so differ from device to device."""
