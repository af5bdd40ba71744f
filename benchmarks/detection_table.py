"""The section of docs/performance.md about what a detector does beside its network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import paragraph, table

LIMIT = 0.1
"""Of the network's time, for preparing the picture and finding its boxes together."""


def detection_overhead(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Parts of a detection, by picture, preparation and number of candidates."""
    rows = []
    for cell in result["cells"]:
        times, ratio = cell["median_ms"], cell["ratio_to_network"]
        rows.append([
            cell["picture"], cell["preparation"], str(cell["candidates"]),
            str(cell["detections"]),
            *(f"{times[part]:.2f}" for part in ("preparation", "boxes", "network")),
            f"{ratio['value']:.1%}", f"{ratio['low']:.1%} to {ratio['high']:.1%}",
            "yes" if ratio["high"] <= LIMIT else "**no**", f"{times['decoding']:.2f}",
        ])  # fmt: skip
    head = ("picture", "preparation", "candidates", "detections", "preparing", "boxes", "network",
            "share", "95 %", f"at most {LIMIT:.0%}", "decoding the JPEG")  # fmt: skip
    return (
        paragraph(
            f"{result['net']} at 416 x 416 with random weights, {result['threads']} threads;",
            "medians in milliseconds. The share is that of preparing the picture and finding the",
            "boxes, relative to the network. Every call gets a picture that was decoded just",
            "before by Pillow; that time stands apart. Thresholds leave so many candidates to the",
            "suppression of overlaps: tens are usual, hundreds of random boxes are the worst case.",
        ),
        table(head, rows),
    )
