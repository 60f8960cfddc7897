"""A registry on loopback that knows promotions and channels, and nothing else; it decides nothing by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tidegate.formats.jcs import parse_object

AGENT = "acme/support-agent"
REQUEST = "0197a7c2-0000-7000-8000-000000000001"
DIGEST = f"sha256:{'a' * 64}"
Document = dict[str, object]
Answer = tuple[int, Document]


def finding(id_: str, state: str, message: str, **more: object) -> Document:
    base: Document = {"id": id_, "kind": "attestation", "state": state, "message": message}
    return base | {"whoCan": [], "measured": {}} | more


def promotion(state: str = "open", *findings: Document, **changes: object) -> Document:
    """A request as the registry shows it."""
    passes = all(each["state"] == "met" for each in findings)
    document: Document = {
        "id": REQUEST,
        "agent": AGENT,
        "channel": "staging",
        "source": "dev",
        "version": "1.3.0",
        "digest": DIGEST,
        "sequence": 7,
        "action": "promote",
        "state": state,
        "ruleDigest": DIGEST,
        "notFullBefore": "2026-06-01T12:00:00Z",
        "requester": {"kind": "email", "issuer": "https://idp.example", "identity": "carol@corp.example"},
        "openedAt": "2026-06-01T12:00:00Z",
        "reason": None,
        "outcome": None,
        "decision": {"allowed": passes, "findings": list(findings)},
        "eventId": REQUEST,
    }
    return document | changes


def channel(name: str, version: str | None = None, **changes: object) -> Document:
    """A channel as the registry shows it."""
    serving: Document = {"version": version, "digest": DIGEST, "since": "2026-06-01T12:00:00Z", "sequence": 3}
    document: Document = {
        "agent": AGENT,
        "name": name,
        "serving": serving if version else None,
        "sequence": 3 if version else 0,
        "holds": [],
        "debts": [],
    }
    return document | changes


@dataclass
class ChannelServer:
    """`answers`: by method and path, what to answer, one after the other; the last one stays."""

    host: str = ""
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, str, Document]] = field(default_factory=list)
    on_request: Callable[[str, str], None] | None = None

    def say(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, f"/api/v1{path}"] = list(answers)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        self.asked.append((method, path, dict(parse_object(body, limit=1 << 20, what="a request") if body else {})))
        if self.on_request is not None:
            self.on_request(method, path)
        prepared = self.answers.get((method, path.partition("?")[0]))
        if not prepared:
            return 404, {"detail": f"no answer for {method} {path}", "reasons": []}
        return prepared.pop(0) if len(prepared) > 1 else prepared[0]

    def sent(self, method: str, path: str) -> list[Document]:
        """What was sent there."""
        return [body for asked, where, body in self.asked if (asked, where) == (method, f"/api/v1{path}")]


@contextmanager
def running() -> Iterator[ChannelServer]:
    """Run one until the block ends."""
    server = ChannelServer()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, document = server.answer(self.command, self.path, body)
            raw = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - as http.server calls them

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.host = f"127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
