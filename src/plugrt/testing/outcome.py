"""How a check of the conformance kit ends, and the report of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["passed", "failed", "skipped", "hint"]


class CheckFailure(Exception):  # noqa: N818 - an outcome of a check
    """A layer does not keep the contract; the text says where and how."""


class NotApplicable(Exception):  # noqa: N818
    """A check has nothing to look at in this layer; the text says why."""


class Hint(Exception):  # noqa: N818
    """The layer is right, but could be better; the text says how."""


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check. `detail` holds a traceback when the layer raised."""

    check: str
    status: Status
    message: str = ""
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class LayerReport:
    """All checks of one layer. `problem` is set when the checks could not be finished."""

    layer: str
    cases: tuple[str, ...] = ()
    results: tuple[CheckResult, ...] = ()
    problem: str = ""

    @property
    def passed(self) -> bool:
        """True when no check failed and all were run."""
        return not self.problem and not any(r.status == "failed" for r in self.results)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "passed": self.passed}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> LayerReport:
        """Inverse of `as_dict`."""
        results = tuple(CheckResult(**item) for item in plain["results"])
        return cls(plain["layer"], tuple(plain["cases"]), results, plain["problem"])
