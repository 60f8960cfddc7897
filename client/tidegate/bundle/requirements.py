"""Requirements files that install one set of bytes: every requirement is pinned and carries a hash.

Read as pip reads them, but closed: an option, a URL, a local path or a nested file is refused, because the host
decides where packages come from. Source: pip's documentation, "Secure installs".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidegate.errors import Reason

MAX_REQUIREMENTS_BYTES = 4 << 20  # a locked application with 500 requirements has some 400 KiB
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[A-Za-z0-9._,\s-]*\])?\s*==\s*[A-Za-z0-9.!+_-]+\s*(?:;[^#]*?)?"
    r"(?P<hashes>(?:\s+--hash=sha(?:256|384|512):[0-9a-f]+)*)\s*"
)


def check_requirements(raw: bytes, path: str) -> tuple[Reason, ...]:
    """Say which lines of a requirements file do not pin what they install; empty when all do."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return (_reason(path, 1, "it is not UTF-8", str(error)),)
    return tuple(_mistakes(text, path))


def _mistakes(text: str, path: str) -> Iterator[Reason]:
    for number, line in logical_lines(text):
        if line == "--require-hashes":
            continue
        match = _REQUIREMENT.fullmatch(line)
        if line.startswith("-"):
            yield _reason(path, number, "options are the host's to choose", line)
        elif match is None:
            yield _reason(path, number, "that is not `name==version`, with an optional marker", line)
        elif not match["hashes"]:
            yield _reason(path, number, f"{match['name']} has no --hash", line)


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give the lines of a requirements file, continued ones joined, without comments, each with its number."""
    pending, first = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        if not pending:
            first = number
        # a comment starts the line or follows white space; it may stand between continued lines
        bare = re.sub(r"(^|\s)#.*$", "", line)
        if bare.endswith("\\"):
            pending += bare[:-1] + " "
            continue
        pending += bare
        if pending.strip():
            yield first, " ".join(pending.split())
        pending = ""
    if pending.strip():
        yield first, " ".join(pending.split())


def _reason(path: str, line: int, message: str, found: str) -> Reason:
    return Reason(
        "requirements-not-locked",
        f"{path}:{line}: {message}",
        found[:160],
        "name==version --hash=sha256:…",
        f"make it with `uv pip compile --generate-hashes` or `pip-compile --generate-hashes -o {path}`",
    )
