"""The one way each in which the formats of the log write numbers and bytes. Another way is another text: refused.

Source: C2SP tlog-checkpoint ("no leading zeroes"), RFC 4648 section 4 with the checks of its section 3.5.
"""

from __future__ import annotations

import base64
import binascii
import re

MAX_SIZE = (1 << 63) - 1  # C2SP tlog-cosignature bounds times by it, Go's tlog package sizes
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MAX_SHOWN = 80


def parse_decimal(text: str) -> int | None:
    """Give a number of 0 to MAX_SIZE in ASCII digits without a leading zero; None for any other text."""
    if _DECIMAL.fullmatch(text) is None:
        return None
    number = int(text)
    return number if number <= MAX_SIZE else None


def parse_base64(text: str) -> bytes | None:
    """Give the bytes whose one standard base64 form, padded and without stray bits, is `text`; None for other text."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return raw if format_base64(raw) == text else None


def format_base64(raw: bytes) -> str:
    """Give standard base64 with padding."""
    return base64.b64encode(raw).decode("ascii")


def shown(text: str | bytes) -> str:
    """Give text from outside as one printable line of bounded length, for a reason."""
    if isinstance(text, bytes):
        text = text[: 4 * _MAX_SHOWN].decode("utf-8", "replace")
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return line if len(line) <= _MAX_SHOWN else line[: _MAX_SHOWN - 1] + "…"
