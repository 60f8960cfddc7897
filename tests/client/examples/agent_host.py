"""The smallest host of an agent: starts it as docs/spec/agent-runtime.md says, and talks to it over its sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject, parse_object

BUNDLE = Path(__file__).parents[3] / "examples" / "support-agent"
IDENTITY = {
    "TIDEGATE_AGENT": "acme/support-agent",
    "TIDEGATE_VERSION": "1.2.0",
    "TIDEGATE_DIGEST": f"sha256:{'4f' * 32}",
}
COMMAND = [sys.executable, "-B", "main.py"]
PATIENCE = 20  # seconds before a test that waits for the agent fails instead of hanging
LINE_LIMIT = 1 << 20


class Connection:
    """One connection of a host: lines out, lines in."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rb")
        self.hello = self.receive()

    def send_raw(self, raw: bytes) -> None:
        self._socket.sendall(raw)

    def send_task(self, task: str, text: str, *, session: str = "s-1", shadow: bool = False) -> None:
        fields = f'"id":"{task}","session":"{session}","labels":{{"tenant":"north"}},"input":{{"text":"{text}"}}'
        self.send_raw(f'{{"type":"task",{fields},"shadow":{str(shadow).lower()}}}\n'.encode())

    def receive(self) -> JsonObject:
        line = self._file.readline()
        assert line.endswith(b"\n"), f"the agent closed the connection: {line!r}"
        return parse_object(line, limit=LINE_LIMIT, what="a line from the agent")

    def ask(self, task: str, text: str, *, session: str = "s-1", shadow: bool = False) -> JsonObject:
        self.send_task(task, text, session=session, shadow=shadow)
        return self.receive()

    def at_end(self) -> bool:
        return self._file.readline() == b""

    def end_input(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Host:
    """The smallest host: a run folder, a notify socket, the agent's process, its connections."""

    def __init__(self, run: Path, bundle: Path, state: Path, more: Mapping[str, str]) -> None:
        self.task_socket = run / "task.sock"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.settimeout(PATIENCE)
        self._notify.bind(str(run / "notify.sock"))
        environment = {"PATH": os.defpath, "TIDEGATE_RUNTIME": "1", **IDENTITY, **more}
        environment |= {"TIDEGATE_BUNDLE": str(bundle), "TIDEGATE_STATE": str(state)}
        environment |= {"TIDEGATE_SOCKET": str(self.task_socket), "NOTIFY_SOCKET": str(run / "notify.sock")}
        self.process = subprocess.Popen(
            COMMAND, cwd=bundle, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._connections: list[Connection] = []

    def notification(self) -> str:
        return self._notify.recv(4096).decode()

    def connect(self) -> Connection:
        self._connections.append(Connection(self.task_socket))
        return self._connections[-1]

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def clean_up(self) -> None:
        for connection in self._connections:
            connection.close()
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate()
        self._notify.close()


StartHost = Callable[..., Host]


def open_the_gate(bundle: Path) -> None:
    """Wait until a lookup waits, then let it have the order list."""
    with (bundle / "data" / "orders.json").open("wb") as gate:
        gate.write((BUNDLE / "data" / "orders.json").read_bytes())


def snapshot(folder: Path) -> dict[str, Digest]:
    return {str(path.relative_to(folder)): Digest.of_file(path) for path in folder.rglob("*") if path.is_file()}


def text_of(result: JsonObject) -> str:
    output = result["output"]
    assert isinstance(output, dict)
    return str(output["text"])


def tools_of(result: JsonObject) -> list[str]:
    calls = result["toolCalls"]
    assert isinstance(calls, list)
    return [str(call["name"]) for call in calls if isinstance(call, dict)]
