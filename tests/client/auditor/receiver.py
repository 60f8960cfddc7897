"""A receiver of webhooks on the loopback, which answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = base64.b64encode(b"a made-up secret of 32 bytes ...").decode()


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    def is_signed(self, secret: str = SECRET) -> bool:
        """Verify as a receiver would: written from the specification, not from our sender."""
        parts = (self.headers["webhook-id"].encode(), self.headers["webhook-timestamp"].encode(), self.body)
        mac = hmac.new(base64.b64decode(secret), b".".join(parts), hashlib.sha256).digest()
        return f"v1,{base64.b64encode(mac).decode()}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """`answer`: gives status and headers for the nth request, from 0."""

    url: str = ""
    answer: Callable[[int], tuple[int, dict[str, str]]] = lambda _: (200, {})
    body: bytes = b"ok"
    got: list[Request] = field(default_factory=list)
    cut: int = 0  # answers that the sender did not read to their end


class Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the answers under way: what they count is known then


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, headers = receiver.answer(len(receiver.got))
            receiver.got.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(receiver.body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(receiver.body)
            except OSError:
                receiver.cut += 1

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Say nothing."""

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
