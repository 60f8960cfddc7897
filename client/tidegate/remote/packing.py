"""Content that a server sends packed with gzip: small on the way, and bounded once unpacked."""

from __future__ import annotations

import zlib

from tidegate.errors import LimitExceeded, Unreachable

PACKING_BYTES = 64 << 10  # what gzip may add to content that it cannot make smaller: 5 bytes for each 16 KiB
_GZIP = 16 + zlib.MAX_WBITS  # zlib: window bits plus 16 read the gzip format, and no other


def unpacked(raw: bytes, encoding: str, *, limit: int, what: str) -> bytes:
    """Give the content of an answer whose Content-Encoding is `encoding`; at most `limit` bytes are ever made of it.

    Raises LimitExceeded, and Unreachable (code "content-encoding") for what is not one whole gzip member.
    """
    if encoding.strip().lower() not in ("", "identity", "gzip", "x-gzip"):
        raise Unreachable(
            f"the registry's answer is packed in a way we did not ask for, when asked to {what}",
            code="content-encoding",
            found=encoding[:100],
            expected="gzip, or none",
        )
    if "gzip" not in encoding.lower():
        content = raw
    else:
        machine = zlib.decompressobj(_GZIP)
        try:
            content = machine.decompress(raw, limit + 1)
        except zlib.error as error:
            raise _broken(what, str(error)) from error
        if len(content) <= limit and (not machine.eof or machine.unused_data):
            raise _broken(what, "it ends too early" if not machine.eof else "more follows it")
    if len(content) > limit:
        raise LimitExceeded(
            f"the registry's answer is too large when asked to {what}", expected=f"at most {limit} bytes"
        )
    return content


def _broken(what: str, found: str) -> Unreachable:
    return Unreachable(
        f"the registry's answer cannot be unpacked when asked to {what}",
        code="content-encoding",
        found=found,
        expected="one whole gzip member",
    )
