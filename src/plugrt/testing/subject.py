"""What the checks of one layer share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plugrt.plugin_registry import Registry
from plugrt.plugins import Array, DataType, LayerPlugin

from .cases import Case
from .configurations import NARROW_FLOATS, configurations, has_bodies
from .execution import Configuration
from .outcome import NotApplicable

MAIN_CASES = 3


@dataclass(frozen=True)
class Subject:
    """A layer under test: its class, the cases to try, and the registry it lives in."""

    layer_class: type[LayerPlugin]
    cases: tuple[Case, ...]
    registry: Registry
    device: str = "cpu"

    @property
    def main_cases(self) -> tuple[Case, ...]:
        """The first cases, of various ranks: enough where the attributes hardly matter."""
        return self.cases[:MAIN_CASES]

    @property
    def has_reference(self) -> bool:
        """Whether the layer has a NumPy reference."""
        return self.layer_class.reference is not LayerPlugin.reference

    def expected(self, case: Case) -> list[Array]:
        """The reference's outputs; 16-bit floats are computed in float32.

        Raises NotApplicable where the layer has no reference.
        """
        if not self.has_reference:
            raise NotApplicable("it has no reference()")
        wide = [
            array.astype(np.float32) if DataType.of(array.dtype) in NARROW_FLOATS else array
            for array in case.inputs
        ]
        with np.errstate(all="ignore"):
            return [np.asarray(array) for array in case.layer().reference(wide)]

    def nothing_ran(self, text: str) -> NotApplicable:
        """Why no configuration was tried: `text`, unless engines alone can run the layer."""
        if any(has_bodies(case.layer()) for case in self.cases):
            return NotApplicable("only an engine records its bodies")
        return NotApplicable(text)

    def runnable(self) -> list[tuple[Case, Configuration]]:
        """Each main case with the first configuration that needs no sharing of memory.

        Raises NotApplicable when no case can run.
        """
        found = []
        for case in self.main_cases:
            offers = configurations(case, self.registry)
            first = next((c for c in offers if c.tactic.accumulates_into is None), None)
            if first is not None:
                found.append((case, first))
        if not found:
            raise self.nothing_ran("no tactic runs any case on this machine")
        return found
