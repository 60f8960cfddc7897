"""The support agent against docs/spec/agent-runtime.md: started as a host starts it, over its sockets. C1 … C12 below
are the numbers of the page's conformance list."""

from __future__ import annotations

import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.client.examples.agent_host import (
    BUNDLE,
    IDENTITY,
    LINE_LIMIT,
    PATIENCE,
    StartHost,
    open_the_gate,
    snapshot,
    text_of,
    tools_of,
)


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


def test_sigterm_before_ready_ends_the_process(start: StartHost) -> None:
    assert start(ready=False).end() in (0, -signal.SIGTERM)
