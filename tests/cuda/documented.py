"""The layers of docs/write-a-layer.md, as its readers would have them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "write-a-layer.md"


@cache
def documented_names() -> dict[str, Any]:
    """What the page's Python examples define."""
    names: dict[str, Any] = {"__name__": "documented"}
    text = PAGE.read_text(encoding="utf-8")
    for example in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(example, str(PAGE), "exec"), names)
    return names
