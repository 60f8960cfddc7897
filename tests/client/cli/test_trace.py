"""`tidegate trace`: what is proven, what is told, and what nobody but the whole log can say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.auditor.made import DIGEST, life_of_a_release
from tests.client.auditor.made_log import MadeLog
from tests.client.auditor.search_server import SearchServer, searching
from tidegate.cli.main import main

ABOUT = [0, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]  # of the made release: its own, its request's, its policy's


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeLog:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "TIDEGATE_TRUST", "TIDEGATE_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    made = MadeLog.at(tmp_path)
    made.append(life_of_a_release())
    return made


@pytest.fixture
def server(log: MadeLog) -> Iterator[SearchServer]:
    with searching(log) as running:
        yield running


def traced(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    assert main(["trace", *arguments, "--json"]) == code
    document: dict[str, object] = json.loads(capsys.readouterr().out)  # noqa: TID251 - our own output
    return document


def indices(document: dict[str, object]) -> list[int]:
    facts = document["facts"]
    assert isinstance(facts, list)
    return [fact["index"] for fact in facts]


@pytest.mark.parametrize("what", ["acme/support:1.3.0", f"acme/support@{DIGEST}", DIGEST])
def test_search_and_the_whole_log_tell_the_same_of_a_release_by_any_name(
    server: SearchServer, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    key = str(server.log.signer.key)
    asked = traced(capsys, what, "--registry", server.host, "--key", key)
    read = traced(capsys, what, "--registry", server.host, "--key", key, "--complete")
    offline = traced(capsys, what, "--from", str(server.log.folder), "--key", key)
    assert indices(asked) == indices(read) == indices(offline) == ABOUT
    assert (asked["complete"], read["complete"], offline["complete"]) == (False, True, True)
    assert asked["told"] == read["told"] == 0
    assert asked | {"complete": True} == read == offline


def test_without_the_logs_key_everything_is_told_and_nothing_proven(
    server: SearchServer, capsys: pytest.CaptureFixture[str]
) -> None:
    document = traced(capsys, DIGEST, "--registry", server.host)
    assert (document["proven"], document["told"], document["log"]) == (0, len(ABOUT), None)
    assert main(["trace", DIGEST, "--registry", server.host]) == 0
    assert "nothing here is proven" in capsys.readouterr().out


def test_an_entry_that_is_not_in_the_log_yet_is_marked_as_told(
    server: SearchServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.late = {12}
    document = traced(capsys, DIGEST, "--registry", server.host, "--key", str(server.log.signer.key))
    assert document["told"] == 1
    assert document["facts"][-1]["proven"] is False  # type: ignore[index]


@pytest.mark.parametrize("arguments", [(), ("--complete",)])
def test_a_release_that_the_log_does_not_know_is_told_as_such(
    server: SearchServer, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    key = str(server.log.signer.key)
    document = traced(capsys, "acme/support:9.9.9", "--registry", server.host, "--key", key, *arguments, code=1)
    assert document["error"]["reasons"][0]["code"] == "release-unknown"  # type: ignore[index]


def test_to_read_the_whole_log_its_key_is_needed(server: SearchServer, capsys: pytest.CaptureFixture[str]) -> None:
    document = traced(capsys, DIGEST, "--registry", server.host, "--complete", code=2)
    assert document["error"]["reasons"][0]["code"] == "trust-file-missing"  # type: ignore[index]


@pytest.mark.parametrize(
    ("form", "begins"), [("svg", "<svg "), ("mermaid", "flowchart LR"), ("text", "acme/support  1.3")]
)
def test_a_trace_is_written_in_each_form_to_a_file(
    log: MadeLog, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, begins: str
) -> None:
    file = tmp_path / "trace"
    source = ("--from", str(log.folder), "--key", str(log.signer.key))
    assert main(["trace", DIGEST, *source, "--format", form, "-o", str(file)]) == 0
    assert file.read_text().startswith(begins)
    assert capsys.readouterr().out == ""
