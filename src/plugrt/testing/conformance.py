"""Running all checks on one layer, in this process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable
from dataclasses import replace

from plugrt.plugin_registry import Registry
from plugrt.plugins import LayerPlugin, PlugrtError

from .bodies import body_cases
from .cases import Case, example_cases
from .checks import CHECKS, KERNEL_CHECKS, Check
from .generation import generated_cases
from .outcome import CheckFailure, CheckResult, Hint, LayerReport, NotApplicable
from .subject import Subject
from .workbench import missing

NO_CASES = (
    "no example was found by trying: give the class a classmethod exampleCases() that returns "
    "a list of mappings with `inputs` (arrays) and `attributes`"
)


def cases_of(layer_class: type[LayerPlugin], registry: Registry) -> tuple[Case, ...]:
    """The layer's own examples, else generated ones."""
    own = example_cases(layer_class)
    return tuple(own or body_cases(layer_class, registry) or generated_cases(layer_class))


def check_layer(
    layer: str | type[LayerPlugin],
    registry: Registry | None = None,
    checks: Iterable[str] | None = None,
    device: str = "cpu",
) -> LayerReport:
    """Run the conformance kit, or only some of its `checks`, on a layer type or class.

    On another device than "cpu" the checks are those that run kernels. Raises PluginError when
    `layer` names a type that is not registered.
    """
    if checks is None:
        checks = CHECKS if device == "cpu" else KERNEL_CHECKS
    reason = missing(device)
    if reason is not None:
        name = layer if isinstance(layer, str) else layer.type
        return LayerReport(name, problem=reason)
    registry = Registry(registry if registry is not None else Registry.default())
    if isinstance(layer, str):
        layer_class = registry.layer(layer)
    else:
        layer_class = registry.register(layer, override=True)
    try:
        cases = tuple(replace(c, device=device) for c in cases_of(layer_class, registry))
    except PlugrtError as error:
        return LayerReport(layer_class.type, problem=str(error))
    if not cases:
        return LayerReport(layer_class.type, problem=NO_CASES)
    subject = Subject(layer_class, cases, registry, device)
    results = tuple(run_check(name, CHECKS[name], subject) for name in checks)
    return LayerReport(layer_class.type, tuple(map(str, cases)), results)


def run_check(name: str, check: Check, subject: Subject) -> CheckResult:
    """Run one check; whatever it raises becomes its result."""
    start = time.perf_counter()
    status, message, detail = "passed", "", ""
    try:
        check(subject)
    except NotApplicable as reason:
        status, message = "skipped", str(reason)
    except Hint as hint:
        status, message = "hint", str(hint)
    except CheckFailure as failure:
        status, message = "failed", str(failure)
    except Exception as error:
        status, message = "failed", f"{type(error).__name__}: {error}"
        detail = traceback.format_exc()
    seconds = round(time.perf_counter() - start, 3)
    return CheckResult(name, status, message, detail, seconds)  # type: ignore[arg-type]
