"""The examples of the pages under docs/spec, as documents: what is documented is what is tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tidegate.formats.jcs import parse_object

SPEC = Path(__file__).resolve().parent.parent / "docs" / "spec"


def json_example(page: str, number: int = 0) -> dict[str, Any]:
    """Give the JSON example of that number in `docs/spec/<page>.md`."""
    text = (SPEC / f"{page}.md").read_text(encoding="utf-8")
    found = re.findall(r"^```json\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return parse_object(found[number].encode(), limit=1 << 16, what=f"the example of {page}")


def evaluation(**changes: object) -> dict[str, Any]:
    """Give the documented evaluation, changed."""
    return json_example("evaluation") | changes
