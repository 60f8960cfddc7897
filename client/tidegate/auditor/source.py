"""Where the static files of an audit log are read from: a web address, or a folder that holds the same tree.

A log is `checkpoint`, `tile/…` and `objects/…` below one base (docs/spec/log.md). Nothing read here is believed for
where it came from: every answer is bounded here and authenticated by who asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidegate.digest import Digest
from tidegate.errors import InvalidInput, LimitExceeded, LogRefused, NotFound
from tidegate.remote.address import RegistryAddress, new_client
from tidegate.remote.stores import Stores
from tidegate.remote.transport import READ_API, Transport
from tidegate.tlog.note import MAX_NOTE_BYTES
from tidegate.tlog.tiles import CHECKPOINT_PATH, MAX_BUNDLE_BYTES, TILE_BYTES

if TYPE_CHECKING:
    from tidegate.remote.tokens import Identity

DEFAULT_PATH = "/log"  # where a registry serves its log
MAX_OBJECT_BYTES = 32 << 20  # the largest things that entries name are Sigstore bundles and manifests

ReadFile = Callable[[str, int], "bytes | None"]
"""Gives a file below the base, at most so many bytes, or None when there is none such. Raises TidegateError."""


class LogSource:
    """The files of one log. `name`: the URL or folder, for people. Safe from several threads.

    `folder`: where they are on this machine, if they are.
    """

    def __init__(self, name: str, read: ReadFile, *, folder: Path | None = None) -> None:
        self.name, self._read, self.folder = name, read, folder

    def checkpoint(self) -> bytes:
        """Fetch the latest checkpoint. Raises NotFound (code "log-missing"), LimitExceeded, Unreachable."""
        raw = self._read(CHECKPOINT_PATH, MAX_NOTE_BYTES)
        if raw is None:
            raise NotFound(
                f"there is no audit log at {self.name}",
                code="log-missing",
                expected=f"{self.name.rstrip('/')}/{CHECKPOINT_PATH}",
                hint="name the folder or URL that holds `checkpoint`, such as https://HOST/log",
            )
        return raw

    def fetch(self, path: str) -> bytes | None:
        """Fetch `tile/…` as C2SP tlog-tiles names it; None when it is not there. See `tidegate.tlog.tiles.Fetch`.

        Raises LimitExceeded, Unreachable, Unauthenticated or AccessDenied (entries need a token by default).
        """
        return self._read(path, MAX_BUNDLE_BYTES if path.startswith("tile/entries/") else TILE_BYTES)

    def object(self, digest: Digest) -> bytes:
        """Fetch what an entry names. Raises NotFound (code "log-object-missing"), LogRefused, LimitExceeded."""
        raw = self._read(object_path(digest), MAX_OBJECT_BYTES)
        if raw is None:
            raise NotFound(
                f"{self.name} does not hold what an entry names", code="log-object-missing", expected=str(digest)
            )
        if (found := Digest.of(raw, digest.algorithm)) != digest:
            raise LogRefused(
                f"{self.name} holds other bytes than an entry names",
                code="log-object-changed",
                found=found,
                expected=digest,
            )
        return raw


def object_path(digest: Digest) -> str:
    """Give the path of what entries name by digest."""
    return f"objects/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}"


@contextmanager
def open_log(
    where: str | None, *, registry: str | None, identity: Identity | None, plain_http: bool = False
) -> Iterator[LogSource]:
    """Open the log at a URL or in a folder; with None that of `registry`, a `host[:port]`.

    A URL without a path is a registry's, whose log is below /log. `identity`: gives tokens for entries.
    Raises InvalidInput (code "log-source-missing" when neither is named).
    """
    if where is None and not registry:
        raise InvalidInput(
            "where is the log?",
            code="log-source-missing",
            hint="pass --from URL|DIR or --registry HOST, or set TIDEGATE_REGISTRY",
        )
    if where is not None and "://" not in where:
        yield folder_source(Path(where).expanduser())
        return
    host, base = (registry or "", DEFAULT_PATH) if where is None else _parts(where)
    address = RegistryAddress.parse(host, plain_http=plain_http)
    with new_client(address) as client:
        yield web_source(Transport(address, client, identity, stores=Stores(address)), base)


def folder_source(folder: Path) -> LogSource:
    """Give the log in a folder, or in its folder `log`. Raises InvalidInput (code "log-source-missing")."""
    inside = folder / DEFAULT_PATH.strip("/")
    base = inside if not (folder / CHECKPOINT_PATH).exists() and (inside / CHECKPOINT_PATH).exists() else folder
    if not base.is_dir():
        raise InvalidInput(f"{folder} is no folder", code="log-source-missing", expected="a URL, or a folder")

    def read(path: str, limit: int) -> bytes | None:
        try:
            with (base / path).open("rb") as file:
                raw = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if len(raw) > limit:
            raise LimitExceeded(f"{base / path} is too large", expected=f"at most {limit} bytes")
        return raw

    return LogSource(str(base), read, folder=base)


def web_source(transport: Transport, base: str = DEFAULT_PATH) -> LogSource:
    """Give the log below the path `base` of a server."""
    prefix = base.rstrip("/")

    def read(path: str, limit: int) -> bytes | None:
        try:
            return transport.fetch_content(
                f"{prefix}/{path}", what=f"give {path} of its log", scopes=READ_API, limit=limit
            )
        except NotFound:
            return None

    return LogSource(f"{transport.address.url}{prefix}", read)


def _parts(url: str) -> tuple[str, str]:
    """Split the URL of a log into its server and the path there. Raises InvalidInput."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidInput("that is not the URL of a log", found=url[:300], expected="https://HOST[/PATH]")
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/") or DEFAULT_PATH
