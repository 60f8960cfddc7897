"""A web server on the loopback that serves a folder as it is, as a mirror of a log would."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class StaticServer(ThreadingHTTPServer):
    """Serves `folder` below /log/. `packed`: with gzip, to whom asks; `guarded`: entries need the token `good`."""

    def __init__(self, folder: Path, *, packed: bool = False, guarded: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.packed, self.guarded = folder, packed, guarded
        self.asked: list[str] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/log"


class _Handler(BaseHTTPRequestHandler):
    server: StaticServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/token"):
            known = self.headers.get("Authorization") is not None
            return self._answer(200, b'{"token": "good"}') if known else self._answer(401, b"{}")
        if self.server.guarded and "/entries/" in self.path and self.headers.get("Authorization") != "Bearer good":
            return self._answer(401, b"", f'Bearer realm="http://{self.server.host}/token",service="log"')
        try:
            content = (self.server.folder / self.path.removeprefix("/log/")).read_bytes()
        except OSError:
            return self._answer(404, b"{}")
        return self._answer(200, content)

    def _answer(self, status: int, content: bytes, challenge: str | None = None) -> None:
        packed = status == 200 and self.server.packed and self.headers.get("Accept-Encoding") == "gzip"
        sent = gzip.compress(content) if packed else content
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        if packed:
            self.send_header("Content-Encoding", "gzip")
        if challenge is not None:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing."""


@contextmanager
def serving(folder: Path, *, packed: bool = False, guarded: bool = False) -> Iterator[StaticServer]:
    with StaticServer(folder, packed=packed, guarded=guarded) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
