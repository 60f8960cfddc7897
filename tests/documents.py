"""The examples of the pages under docs/spec, as documents: what is documented is what is tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tidegate.formats.jcs import parse_object

DOCS = Path(__file__).resolve().parent.parent / "docs"
SPEC, GUIDES = DOCS / "spec", DOCS / "guides"


def json_example(page: str, number: int = 0) -> dict[str, Any]:
    """Give the JSON example of that number in `docs/spec/<page>.md`."""
    text = (SPEC / f"{page}.md").read_text(encoding="utf-8")
    found = re.findall(r"^```json\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return parse_object(found[number].encode(), limit=1 << 16, what=f"the example of {page}")


def evaluation(**changes: object) -> dict[str, Any]:
    """Give the documented evaluation, changed."""
    return json_example("evaluation") | changes


def guide_example(page: str, language: str, number: int = 0) -> bytes:
    """Give the example of that language and number in `docs/guides/<page>.md`."""
    text = (GUIDES / f"{page}.md").read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return str(found[number]).encode()
