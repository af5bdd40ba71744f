"""`python -m plugrt.testing NAME --output FILE`: one layer's report as JSON."""

from __future__ import annotations

import argparse
import faulthandler
import json
from pathlib import Path

from .conformance import check_layer


def main() -> None:
    """Check one registered layer and write the report beside its target, then rename it."""
    parser = argparse.ArgumentParser(prog="python -m plugrt.testing", description=__doc__)
    parser.add_argument("layer", metavar="NAME")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--device", default="cpu", metavar="NAME")
    arguments = parser.parse_args()
    faulthandler.enable()  # a crash in native code names the Python line that led to it
    report = check_layer(arguments.layer, device=arguments.device)
    partial = arguments.output.with_suffix(".partial")
    partial.write_text(json.dumps(report.as_dict()), encoding="utf-8")
    partial.replace(arguments.output)


if __name__ == "__main__":
    main()
