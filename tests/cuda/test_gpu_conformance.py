"""Every registered layer keeps the contract on a GPU, as the conformance kit sees it."""

from __future__ import annotations

import io

import pytest

from plugrt.builtin_layers import cublaslt_product
from plugrt.builtin_layers.convolution import cudnn_candidate
from plugrt.plugin_registry import Registry
from plugrt.plugins import UnaryPointwise
from plugrt.testing import check_layer, print_report
from plugrt.testing.checks import KERNEL_CHECKS

pytestmark = pytest.mark.cuda

REGISTRY = Registry.default()

SIMPLE_CHECKS = tuple(name for name in KERNEL_CHECKS if name != "fusion on and off")
"""For layers that are one expression of one tensor, and fuse as the others do."""


@pytest.mark.parametrize("layer", REGISTRY.names("layers"))
def test_layer_keeps_the_contract(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Libraries propose dozens of plans, and each takes a quarter of a second to build.
    monkeypatch.setattr(cudnn_candidate, "MOST_PLANS", 2)
    monkeypatch.setattr(cublaslt_product, "MOST_ALGORITHMS", 2)
    simple = issubclass(REGISTRY.layer(layer), UnaryPointwise)
    report = check_layer(
        layer, checks=SIMPLE_CHECKS if simple else KERNEL_CHECKS, device="cuda"
    )
    if not report.passed:
        text = io.StringIO()
        print_report(text, report)
        pytest.fail(text.getvalue(), pytrace=False)
