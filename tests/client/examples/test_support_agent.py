"""The support agent against docs/spec/agent-runtime.md: started as a host starts it, over its sockets. C1 … C12 below
are the numbers of the page's conformance list."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

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


@pytest.fixture
def start() -> Iterator[StartHost]:
    """Start the agent and wait for READY=1. `ready=False`: only start it. Other arguments go to its environment."""
    hosts: list[Host] = []
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:  # not tmp_path: a socket's path has 107 bytes at most

        def begin(
            *,
            bundle: Path = BUNDLE,
            state: Path | None = None,
            run: Path | None = None,
            ready: bool = True,
            **more: str,
        ) -> Host:
            run = run or Path(folder) / str(len(hosts))
            (run / "state").mkdir(parents=True, exist_ok=True)
            (run / "notify.sock").unlink(missing_ok=True)
            hosts.append(Host(run, bundle, state or run / "state", more))
            if ready:
                assert hosts[-1].notification() == "READY=1"
            return hosts[-1]

        yield begin
        for host in hosts:
            host.clean_up()


@pytest.fixture
def gated_bundle(tmp_path: Path) -> Path:
    """A copy of the agent whose order list is a FIFO: a lookup waits until the test has opened it and written."""
    bundle = tmp_path / "gated"
    shutil.copytree(BUNDLE, bundle)
    (bundle / "data" / "orders.json").unlink()
    os.mkfifo(bundle / "data" / "orders.json")
    return bundle


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


def test_c1_ready_is_sent_when_a_connection_succeeds(start: StartHost) -> None:
    host = start()
    assert host.connect().hello["type"] == "hello"
    assert host.task_socket.stat().st_mode & 0o777 == 0o600


def test_c1_a_socket_file_left_by_a_dead_process_is_replaced(start: StartHost) -> None:
    first = start()
    first.process.kill()
    first.process.wait(PATIENCE)
    assert first.task_socket.is_socket()
    assert start(run=first.task_socket.parent).connect().hello["type"] == "hello"


def test_c2_hello_says_what_the_environment_says(start: StartHost) -> None:
    assert start().connect().hello == {
        "type": "hello",
        "protocol": "tidegate.task/1",
        "agent": IDENTITY["TIDEGATE_AGENT"],
        "version": IDENTITY["TIDEGATE_VERSION"],
        "digest": IDENTITY["TIDEGATE_DIGEST"],
        "concurrency": 4,
    }


def test_c3_a_task_is_answered_with_output_outcome_and_tool_calls(start: StartHost) -> None:
    result = start().connect().ask("t-1", "Where is order 1001?")
    assert (result["type"], result["id"], result["outcome"]) == ("result", "t-1", "success")
    assert "shipped on 2026-11-03" in text_of(result)
    calls = result["toolCalls"]
    assert isinstance(calls, list)
    assert isinstance(calls[0], dict)
    assert calls[0]["name"] == "lookup_order"
    assert calls[0]["arguments"] == {"orderId": "1001"}
    assert calls[0]["outcome"] == "success"
    assert "reason" not in result


@pytest.mark.parametrize(
    ("text", "outcome", "tools"),
    [
        ("Please refund order 1001", "success", ["lookup_order", "propose_refund"]),
        ("Please refund order 1002", "declined", ["lookup_order"]),
        ("What is (2 + 3) * 4?", "success", ["calculate"]),
        ("What is 1 / 0?", "failure", ["calculate"]),
        ("Tell me a joke", "declined", []),
    ],
)
def test_c3_every_outcome_but_success_has_a_reason(start: StartHost, text: str, outcome: str, tools: list[str]) -> None:
    result = start().connect().ask("t-1", text)
    assert result["outcome"] == outcome
    assert tools_of(result) == tools
    assert ("reason" in result) == (outcome != "success")


def test_c3_one_connection_carries_tasks_of_several_sessions_at_once(start: StartHost, gated_bundle: Path) -> None:
    connection = start(bundle=gated_bundle).connect()
    connection.send_task("slow", "Where is order 1001?", session="s-1")
    assert connection.ask("quick", "When are you open?", session="s-2")["id"] == "quick"
    open_the_gate(gated_bundle)
    assert connection.receive()["id"] == "slow"


def test_c3_after_the_end_of_input_the_tasks_in_work_are_still_answered(start: StartHost, gated_bundle: Path) -> None:
    connection = start(bundle=gated_bundle).connect()
    connection.send_task("t-1", "Where is order 1001?")
    connection.end_input()
    open_the_gate(gated_bundle)
    assert connection.receive()["id"] == "t-1"
    assert connection.at_end()


GOOD = b'"session":"s","labels":{},"input":{"text":"hello"}'


@pytest.mark.parametrize(
    ("line", "code", "task"),
    [
        (b"", "bad-json", None),
        (b"hello", "bad-json", None),
        (b'["task"]', "bad-json", None),
        (b'{"type":"task","type":"ping"}', "bad-json", None),
        (b'{"type":"ping","n":NaN}', "bad-json", None),
        (b'{"type":"ping","n":9007199254740993}', "bad-json", None),
        (b'{"type":"ping","n":' + b"[" * 70 + b"]" * 70 + b"}", "bad-json", None),
        (b'{"type":"ping","n":' + b"[" * 200_000 + b"}", "bad-json", None),
        (b'{"type":"\xff"}', "bad-json", None),
        (b"{}", "bad-message", None),
        (b'{"type":7,"id":"t-1"}', "bad-message", "t-1"),
        (b'{"type":"dance","id":"t-1"}', "unknown-type", "t-1"),
        (b'{"type":"task",' + GOOD + b"}", "bad-message", None),
        (b'{"type":"task","id":"a b",' + GOOD + b"}", "bad-message", None),
        (b'{"type":"task","id":"' + b"x" * 129 + b'",' + GOOD + b"}", "bad-message", None),
        (b'{"type":"task","id":"t-1","session":"s","labels":{},"input":{}}', "bad-message", "t-1"),
        (b'{"type":"task","id":"t-1","session":"s","labels":{},"input":"hello"}', "bad-message", "t-1"),
        (b'{"type":"task","id":"t-1","session":"s","labels":{"a":1},"input":{"text":""}}', "bad-message", "t-1"),
        (b'{"type":"task","id":"t-1","session":"s","labels":{"a b":"c"},"input":{"text":""}}', "bad-message", "t-1"),
        (b'{"type":"task","id":"t-1","session":"../s","labels":{},"input":{"text":""}}', "bad-message", "t-1"),
        (b'{"type":"task","id":"t-1","shadow":"yes",' + GOOD + b"}", "bad-message", "t-1"),
    ],
)
def test_c4_a_malformed_line_is_answered_and_the_next_one_served(
    start: StartHost, line: bytes, code: str, task: str | None
) -> None:
    connection = start().connect()
    connection.send_raw(line + b"\n")
    answer = connection.receive()
    assert (answer["type"], answer["code"], answer["id"]) == ("error", code, task)
    assert connection.ask("t-9", "When are you open?")["outcome"] == "success"


def test_c5_an_overlong_line_closes_its_connection_and_no_other(start: StartHost) -> None:
    host = start()
    other, connection = host.connect(), host.connect()
    with suppress(BrokenPipeError, ConnectionResetError):  # the agent may close while we still send
        connection.send_raw(b'{"type":"ping","padding":"' + b"x" * LINE_LIMIT + b'"}\n')
    assert connection.receive()["code"] == "line-too-long"
    with suppress(ConnectionResetError):
        assert connection.at_end()
    assert other.ask("t-1", "When are you open?")["outcome"] == "success"


def test_c5_the_longest_allowed_line_is_served(start: StartHost) -> None:
    connection = start().connect()
    head, tail = b'{"type":"ping","padding":"', b'"}\n'
    connection.send_raw(head + b"x" * (LINE_LIMIT - len(head) - len(tail)) + tail)
    assert connection.receive()["type"] == "pong"


def test_c6_memory_survives_a_restart_and_belongs_to_its_session(start: StartHost, tmp_path: Path) -> None:
    host = start(state=tmp_path)
    host.connect().ask("t-1", "Where is order 1003?", session="alice")
    assert host.end() == 0
    connection = start(state=tmp_path).connect()
    assert "12.50 EUR" in text_of(connection.ask("t-2", "And what did it cost?", session="alice"))
    assert "Which order" in text_of(connection.ask("t-3", "And what did it cost?", session="bob"))
    assert (tmp_path / "SCHEMA").read_text() == "2\n"


def test_c7_the_bundle_folder_stays_as_it_was(start: StartHost, tmp_path: Path) -> None:
    shutil.copytree(BUNDLE, tmp_path / "bundle")
    before = snapshot(tmp_path / "bundle")
    host = start(bundle=tmp_path / "bundle")
    host.connect().ask("t-1", "Please refund order 1001")
    assert host.end() == 0
    assert snapshot(tmp_path / "bundle") == before


def test_c8_a_drain_finishes_the_task_in_work_and_takes_no_new_one(start: StartHost, gated_bundle: Path) -> None:
    host = start(bundle=gated_bundle)
    connection = host.connect()
    connection.send_task("t-1", "Where is order 1001?")
    assert connection.ask("t-1", "Where is order 1001?")["code"] == "duplicate-id"  # so t-1 is in work
    host.process.terminate()
    assert host.notification() == "STOPPING=1"
    assert connection.ask("t-2", "When are you open?", session="s-2")["code"] == "draining"
    host.process.terminate()  # a second one changes nothing
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        host.connect()
    open_the_gate(gated_bundle)
    assert connection.receive()["outcome"] == "success"
    assert connection.at_end()
    assert host.process.wait(PATIENCE) == 0
    assert not host.task_socket.exists()


def test_c8_an_idle_agent_ends_at_once_even_with_open_connections(start: StartHost) -> None:
    host = start()
    connection = host.connect()
    assert host.end() == 0
    assert connection.at_end()


def test_c9_state_of_an_unknown_schema_is_refused_before_ready_and_left_alone(start: StartHost, tmp_path: Path) -> None:
    (tmp_path / "SCHEMA").write_text("3\n")
    (tmp_path / "anything").write_text("from the future")
    before = snapshot(tmp_path)
    host = start(state=tmp_path, ready=False)
    assert host.process.wait(PATIENCE) == 3
    assert host.process.stderr is not None
    assert b"schema '3'" in host.process.stderr.read()
    assert snapshot(tmp_path) == before


def test_c10_the_watchdog_is_fed_when_asked_for(start: StartHost) -> None:
    host = start(WATCHDOG_USEC="40000")
    assert [host.notification() for _ in range(3)] == ["WATCHDOG=1"] * 3


def test_c10_the_watchdog_of_another_process_is_not_fed(start: StartHost) -> None:
    host = start(WATCHDOG_USEC="1000", WATCHDOG_PID="1")
    assert host.connect().ask("t-1", "When are you open?")["outcome"] == "success"
    host.process.terminate()
    assert host.notification() == "STOPPING=1"


def test_c11_a_shadow_task_reads_memory_and_changes_nothing(start: StartHost, tmp_path: Path) -> None:
    connection = start(state=tmp_path).connect()
    connection.ask("t-1", "Where is order 1001?")
    before = snapshot(tmp_path)
    result = connection.ask("t-2", "I want a refund for it", shadow=True)
    assert tools_of(result) == ["lookup_order", "propose_refund"]
    assert snapshot(tmp_path) == before
    assert connection.ask("t-3", "I want a refund for it")["outcome"] == "success"
    assert len(list((tmp_path / "proposals").iterdir())) == 1


def test_c12_a_ping_is_answered_while_a_task_is_in_work(start: StartHost, gated_bundle: Path) -> None:
    connection = start(bundle=gated_bundle).connect()
    connection.send_task("t-1", "Where is order 1001?")
    connection.send_raw(b'{"type":"ping"}\n')
    assert connection.receive() == {"type": "pong", "running": 1}
    open_the_gate(gated_bundle)
    assert connection.receive()["id"] == "t-1"


def test_more_tasks_than_its_concurrency_are_answered_busy(start: StartHost, gated_bundle: Path) -> None:
    connection = start(bundle=gated_bundle).connect()
    for number in range(4):
        connection.send_task(f"t-{number}", "Where is order 1001?", session=f"s-{number}")
    assert connection.ask("t-4", "When are you open?", session="s-4")["code"] == "busy"


def test_a_second_task_of_a_session_is_answered_busy(start: StartHost, gated_bundle: Path) -> None:
    connection = start(bundle=gated_bundle).connect()
    connection.send_task("t-1", "Where is order 1001?", session="s-1")
    assert connection.ask("t-2", "When are you open?", session="s-1")["code"] == "busy"


def test_a_fault_in_the_agent_is_an_internal_error_without_its_trace(start: StartHost, tmp_path: Path) -> None:
    shutil.copytree(BUNDLE, tmp_path / "broken")
    (tmp_path / "broken" / "data" / "orders.json").write_text('{"orders": 7}')
    connection = start(bundle=tmp_path / "broken").connect()
    answer = connection.ask("t-1", "Where is order 1001?")
    assert (answer["type"], answer["id"], answer["code"]) == ("error", "t-1", "internal")
    assert "Traceback" not in str(answer)
    assert connection.ask("t-2", "When are you open?")["outcome"] == "success"


def test_results_for_a_host_that_went_away_are_dropped(start: StartHost, gated_bundle: Path) -> None:
    host = start(bundle=gated_bundle)
    gone, stays = host.connect(), host.connect()
    gone.send_task("t-1", "Where is order 1001?", session="s-1")
    gone.send_raw(b'{"type":"ping"}\n')
    assert gone.receive()["running"] == 1
    gone.close()
    open_the_gate(gated_bundle)
    assert stays.ask("t-2", "When are you open?", session="s-2")["outcome"] == "success"
    assert host.end() == 0


def test_an_unknown_version_of_the_contract_ends_the_agent_before_ready(start: StartHost) -> None:
    assert start(ready=False, TIDEGATE_RUNTIME="2").process.wait(PATIENCE) == 2


def run_by_hand(*arguments: str, state: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath} | ({"TIDEGATE_STATE": str(state)} if state else {})
    command = [sys.executable, "-B", *arguments]
    return subprocess.run(command, cwd=BUNDLE, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_old_state_is_migrated_and_a_crash_in_between_is_repaired(start: StartHost, tmp_path: Path) -> None:
    names = {session: f"{Digest.of(session.encode()).hex[:32]}.json" for session in ("alice", "bob")}
    (tmp_path / "SCHEMA").write_text("1\n")
    (tmp_path / "sessions").mkdir()
    asked = '"Where is order 1001?"'
    (tmp_path / "sessions" / names["alice"]).write_text(f'{{"session":"alice","lines":[{asked},"On its way."]}}')
    turns = f'[{{"asked":{asked},"answered":"On its way."}}]'
    (tmp_path / "sessions" / names["bob"]).write_text(f'{{"session":"bob","turns":{turns}}}')  # rewritten, then a crash
    assert run_by_hand("main.py", "migrate", state=tmp_path).returncode == 0
    assert (tmp_path / "SCHEMA").read_text() == "2\n"
    migrated = snapshot(tmp_path)
    assert run_by_hand("main.py", "migrate", state=tmp_path).returncode == 0
    assert snapshot(tmp_path) == migrated
    connection = start(state=tmp_path).connect()
    for session in names:
        assert "39.90 EUR" in text_of(connection.ask(f"t-{session}", "What did it cost?", session=session))


def test_migrating_an_empty_state_folder_changes_nothing(tmp_path: Path) -> None:
    assert run_by_hand("main.py", "migrate", state=tmp_path).returncode == 0
    assert snapshot(tmp_path) == {}


def test_by_hand_it_answers_one_task_on_stdout() -> None:
    done = run_by_hand("main.py", "--task", "Where is order 1001?")
    assert done.returncode == 0
    assert done.stdout == "Order 1001 (tide clock, brass, 39.90 EUR): shipped on 2026-11-03.\n"
    assert "lookup_order" in done.stderr


def test_by_hand_without_a_task_it_says_how_it_is_started() -> None:
    done = run_by_hand("main.py")
    assert done.returncode == 2
    assert "--task" in done.stderr


def test_all_evaluation_cases_pass() -> None:
    done = run_by_hand("evals/run.py")
    metrics = parse_object(done.stdout.encode(), limit=1 << 16, what="the metrics")["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["pass_rate"] == 1.0
    assert done.returncode == 0


def test_sigterm_before_ready_ends_the_process(start: StartHost) -> None:
    assert start(ready=False).end() in (0, -signal.SIGTERM)
