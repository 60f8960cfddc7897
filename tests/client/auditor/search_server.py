"""A registry on the loopback that serves a made log and searches it, honestly or not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.client.auditor.made_log import MadeLog

PAGE = 4


@dataclass
class SearchServer:
    """Its search leaves out `hidden`, tells `late` without an index, and all with one text `altered` into another."""

    log: MadeLog
    host: str = ""
    hidden: set[int] = field(default_factory=set)
    altered: tuple[bytes, bytes] = (b"", b"")
    late: set[int] = field(default_factory=set)

    def answer(self, query: dict[str, str]) -> dict[str, object]:
        after = int(query.get("after", len(self.log.entries)))
        found = [index for index in range(after - 1, -1, -1) if self._fits(index, query)]
        items = [
            {
                "index": None if index in self.late else index,
                "entry": json.loads(self.log.entries[index].replace(*self.altered)),  # noqa: TID251 - our own entry
            }
            for index in found[:PAGE]
        ]
        return {"items": items, "next": str(found[PAGE - 1]) if len(found) > PAGE else None}

    def _fits(self, index: int, query: dict[str, str]) -> bool:
        raw = self.log.entries[index].decode()
        filters = [query.get(name, "") for name in ("digest", "decision", "agent", "type")]
        return index not in self.hidden and all(each in raw for each in filters)


@contextmanager
def searching(log: MadeLog) -> Iterator[SearchServer]:
    server = SearchServer(log)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/api/v1/log/entries":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                return self._send(200, json.dumps(server.answer(query)).encode())
            path = log.folder / parts.path.removeprefix("/log/")
            return self._send(200, path.read_bytes()) if path.is_file() else self._send(404, b"{}")

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.host = f"127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
