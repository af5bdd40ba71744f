"""Every registered layer keeps the contract, as the conformance kit sees it."""

import io

import pytest

from plugrt.plugin_registry import Registry
from plugrt.testing import check_layer, print_report


@pytest.mark.parametrize("layer", Registry.default().names("layers"))
def test_layer_keeps_the_contract(layer: str) -> None:
    report = check_layer(layer)
    if not report.passed:
        text = io.StringIO()
        print_report(text, report)
        pytest.fail(text.getvalue(), pytrace=False)


def test_built_in_layers_are_registered() -> None:
    """Else the test above would have nothing to look at."""
    assert {"Convolution", "ReLU", "Concatenation"} <= set(Registry.default().names("layers"))
