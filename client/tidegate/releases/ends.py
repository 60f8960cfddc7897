"""The two ends of a copy: what a person wrote for each, and how the registries among them are spoken to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.credentials.connect import address_for
from tidegate.credentials.sources import SOURCE_TOKEN_VARIABLE, TOKEN_VARIABLE, Credentials
from tidegate.errors import InvalidInput, ReferenceInvalid
from tidegate.formats.reference import Reference
from tidegate.releases.locate import find_layout, parse_release
from tidegate.releases.verify import utc_now
from tidegate.remote.address import RegistryAddress

ARCHIVE_SUFFIX = ".tar"


@dataclass(frozen=True, slots=True)
class Connecting:
    """How registries are found and who we are to them. `default`: for references that name no registry."""

    default: str | None = None
    plain_http: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def credentials(self, *, source: bool) -> Credentials:
        """Give our own credentials for one end: a token that was given is for one registry only."""
        given = self.environ.get(SOURCE_TOKEN_VARIABLE) if source else None
        environ = {**self.environ, TOKEN_VARIABLE: given} if given else self.environ
        return Credentials(environ, clock=utc_now)

    def address(self, place: Place, agent: str) -> RegistryAddress:
        """Give the registry that a destination is in. Raises InvalidInput (code "registry-missing")."""
        host = place.reference.registry if place.reference else None
        return address_for(Reference(agent, host), self.default, plain_http=self.plain_http)


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a copy as a person wrote it: a path, or a reference; as a destination neither: the default registry.

    `archive`: a destination that is one file.
    """

    path: Path | None = None
    reference: Reference | None = None
    archive: bool = False

    @classmethod
    def of_source(cls, text: str | Path) -> Place:
        """Read where to copy from. Raises InvalidInput, ReferenceInvalid."""
        path = find_layout(text)
        return cls(path=path) if path is not None else cls(reference=parse_release(str(text)))

    @classmethod
    def of_destination(cls, text: str) -> Place:
        """Read where to copy to: a path when it begins like one, is there, or ends in `.tar` without naming a version.

        Raises ReferenceInvalid.
        """
        path = Path(text).expanduser()
        starts_so = text in (".", "..") or text.startswith(("/", "./", "../", "~"))
        if starts_so or path.exists() or (text.endswith(ARCHIVE_SUFFIX) and ":" not in text):
            return cls(path=path, archive=path.is_file() or text.endswith(ARCHIVE_SUFFIX))
        if "/" not in text:
            raise ReferenceInvalid(
                "that is neither a release nor a path",
                found=text[:300],
                expected="[registry/]namespace/agent, a path, or a file that ends in .tar",
                hint=f"write ./{text} for a new folder",
            )
        return cls(reference=parse_release(text))

    @property
    def layout_path(self) -> Path:
        """The path of a source. Raises InvalidInput when it has none."""
        if self.path is None:
            raise InvalidInput("nothing says what to copy", expected="a reference, a layout, or an archive")
        return self.path
