"""Whether a model id can float: the same id, another model tomorrow. A pure rule, specified in docs/spec/bundle.md.

A model is pinned by one of: a digest, a repository commit, a weights file of the same bundle, or a dated snapshot in
its id. `latest` and its like undo a date. Everything else floats, also version numbers such as `claude-sonnet-4-5`,
`gemini-1.5-pro-002` or `nova-pro-v1:0`: their vendors may and do serve new builds under them.
"""

from __future__ import annotations

import re
from datetime import date

_FLOATING_WORDS = frozenset({"latest", "current", "default", "auto", "newest", "stable"})
_SEPARATOR = re.compile(r"[-_./:@+ ]+")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}")
_REVISION = re.compile(r"@[0-9a-f]{40}(?:[0-9a-f]{24})?")
# delimited by something that is neither letter nor digit; the year is that of language models
_LONG_DATES = (
    re.compile(r"(?<![0-9A-Za-z])(?P<y>20[0-9]{2})-?(?P<m>[0-9]{2})-?(?P<d>[0-9]{2})(?![0-9A-Za-z])"),  # 2024-08-06
    re.compile(r"(?<![0-9A-Za-z])(?P<m>[0-9]{2})-(?P<y>20[0-9]{2})(?![0-9A-Za-z])"),  # 08-2024
    re.compile(r"(?<![0-9A-Za-z])(?P<y>20[0-9]{2})-(?P<m>[0-9]{2})(?![0-9A-Za-z]|-[0-9])"),  # 2024-08
)
_SHORT_DATE = re.compile(r"(?<![0-9A-Za-z.])[0-9]{4}(?![0-9A-Za-z.])")
_NOT_SHORT_DATES = frozenset({"1024"})  # a size; other sizes (512, 2048, 4096 …) are no dates anyway
FIRST_YEAR, LAST_YEAR = 2018, 2099


def pinned_by(
    model_id: str, *, digest: str | None = None, revision: str | None = None, file: str | None = None
) -> str | None:
    """Say what pins the model, such as `date 2024-08-06`, or None when the id can float."""
    if digest is not None or _DIGEST.search(model_id):
        return "digest"
    if revision is not None or _REVISION.search(model_id):
        return "revision"
    if file is not None:
        return f"file {file}"
    if _FLOATING_WORDS.intersection(_SEPARATOR.split(model_id.lower())):
        return None
    found = _long_date(model_id) or _short_date(model_id)
    return f"date {found}" if found else None


def _long_date(model_id: str) -> str | None:
    for pattern in _LONG_DATES:
        for match in pattern.finditer(model_id):
            parts = match.groupdict()
            year, month, day = int(parts["y"]), int(parts["m"]), int(parts.get("d", "1"))
            if FIRST_YEAR <= year <= LAST_YEAR and _is_date(year, month, day):
                return match[0]
    return None


def _short_date(model_id: str) -> str | None:
    """`0613` (month, day) and `2411` (year, month), as OpenAI, xAI and Mistral write them."""
    for match in _SHORT_DATE.finditer(model_id):
        high, low = int(match[0][:2]), int(match[0][2:])
        year_month = 2000 + high >= FIRST_YEAR and _is_date(2000 + high, low, 1)
        if match[0] not in _NOT_SHORT_DATES and (year_month or _is_date(2000, high, low)):
            return match[0]
    return None


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
