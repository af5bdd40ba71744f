"""Whether the layer could be recordable and is not."""

from __future__ import annotations

from plugrt.plugins import LayerPlugin

from ..comparison import compare
from ..execution import execute
from ..outcome import CheckFailure, Hint, NotApplicable
from ..subject import Subject


def could_be_recordable(subject: Subject) -> None:
    """Tells the author when `recordable = True` is all that is missing."""
    layer_class = subject.layer_class
    if layer_class.recordable:
        return
    for case in subject.cases[:1]:
        if case.layer().pointwise() is not None:
            raise Hint(
                "it is one scalar expression: derive it from plugrt.plugins.PointwiseLayer and "
                "drop enqueue(); it is then recorded, and fuses"
            )
    case, configuration = subject.runnable()[0]
    expected = subject.expected(case)
    trial: type[LayerPlugin] = type(layer_class.__name__, (layer_class,), {"recordable": True})
    try:
        actual = execute(trial(**case.attributes), case.inputs, configuration)
        compare(actual, expected, "recorded", case.tolerance)
    except CheckFailure:
        raise NotApplicable("enqueue() computes, it does not record") from None
    except Exception:
        raise NotApplicable(
            "enqueue() works on arrays; launching kernels instead would save the interpreter's "
            "time at each inference"
        ) from None
    raise Hint("its enqueue() only records: set `recordable = True` on the class")
