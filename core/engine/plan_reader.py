"""All networks of a plan: bodies first, each handed to the one layer that carries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...plugin_registry import Registry
from ...plugins import Array, PlanError, PlugrtError
from ..runtime.planned import PlannedNetwork
from .network_reader import NetworkReader, Surroundings
from .plain import integer, one_line, refuse, row
from .requirements import Installed

MAXIMUM_NESTING = 32
"""Bodies inside bodies."""


class PlanReader:
    """Reads the networks of one plan."""

    def __init__(
        self, registry: Registry, installed: Installed, constants: Sequence[Array],
        states: Sequence[Sequence[memoryview]], content: str,
    ) -> None:
        self._registry = registry
        self._installed = installed
        self._constants = constants
        self._states = states
        self._content = content
        self._waiting: dict[int, PlannedNetwork] = {}
        self._nesting: dict[int, int] = {}

    def read(self, graphs: Any, tuning: Any) -> PlannedNetwork:
        """The outermost network, number 0. Raises PlanError."""
        count = len(self._states)
        described = row(graphs, "networks", count)
        decisions = row(tuning, "tuning", count)
        if not count:
            refuse("networks", graphs, "at least one network")
        for number in reversed(range(count)):
            self._waiting[number] = self._read_one(number, described[number], decisions[number])
        if len(self._waiting) != 1:
            extra = sorted(self._waiting)[1]
            refuse(f"networks[{extra}]", "a body of no layer", "one that some layer carries")
        return self._waiting[0]

    def _read_one(self, number: int, graph: Any, tuning: Any) -> PlannedNetwork:
        def body(value: Any, what: str) -> PlannedNetwork:
            return self._take(integer(value, what, number + 1), number, what)

        around = Surroundings(
            self._registry, self._installed, self._constants, body, self._content
        )
        try:
            return NetworkReader(around, self._states[number], number).read(graph, tuning)
        except PlanError:
            raise
        except PlugrtError as error:
            raise PlanError(
                f"networks[{number}]: {one_line(error)}; build the plan again"
            ) from None

    def _take(self, number: int, parent: int, what: str) -> PlannedNetwork:
        if number not in self._waiting:
            refuse(what, number, "a network that no other layer carries")
        nesting = self._nesting.get(number, 0) + 1
        if nesting > MAXIMUM_NESTING:
            refuse(what, "bodies nested too deeply", f"at most {MAXIMUM_NESTING} levels")
        self._nesting[parent] = max(self._nesting.get(parent, 0), nesting)
        return self._waiting.pop(number)
