"""What a person names on the command line: a folder on this machine, or a release in a registry."""

from __future__ import annotations

from pathlib import Path

from tidegate.bundle.layout import MARKER
from tidegate.errors import InvalidInput, ReferenceInvalid
from tidegate.formats.reference import Reference, may_name_channel
from tidegate.releases.place import LAYOUT, is_pulled

_PATH_STARTS = ("/", "./", "../", "~")


def find_layout(text: str | Path) -> Path | None:
    """Give the layout (folder or archive) that `text` names, None when it names none and may be a reference.

    A folder that `pull` wrote stands for the layout in it. Raises InvalidInput when it can only be a path and is none.
    """
    path = Path(text).expanduser()
    if is_pulled(path):
        return path / LAYOUT
    if (path / MARKER).is_file() or path.is_file():
        return path
    if isinstance(text, Path) or text in (".", "..") or text.startswith(_PATH_STARTS):
        raise InvalidInput(
            "there is no bundle",
            code="layout-missing",
            found=path,
            expected="an OCI image layout, an archive of one, or a folder that `tidegate pull` wrote",
        )
    return None


def parse_release(text: str) -> Reference:
    """Parse a reference to a release, or to an agent as a whole. Raises ReferenceInvalid.

    A channel is refused with a hint of its own (code "reference-channel"): what it names today is the registry's word.
    """
    try:
        return Reference.parse(text)
    except ReferenceInvalid as error:
        tag = text.partition("@")[0].rpartition("/")[2].partition(":")[2]
        if not may_name_channel(tag):
            raise
        raise ReferenceInvalid(
            f"`{tag}` is a channel or a working tag, and neither says which release is meant",
            code="reference-channel",
            found=text[:300],
            expected="a version such as :1.2.0, or a digest",
            hint="name the version or digest that was signed; what a channel serves is only known from signed records",
        ) from error


def demand_version_or_digest(reference: Reference) -> Reference:
    """Raise ReferenceInvalid (code "reference-incomplete") when nothing says which release is meant."""
    if reference.version is None and reference.digest is None:
        raise ReferenceInvalid(
            f"which release of {reference.name}?",
            code="reference-incomplete",
            found=reference,
            expected=f"{reference.name}:VERSION or {reference.name}@sha256:…",
        )
    return reference
