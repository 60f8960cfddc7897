"""A registry's search leaves out what its operator would rather not show, or shows what was never logged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.client.auditor.made import DIGEST, life_of_a_release
from tests.client.auditor.made_log import MadeLog
from tests.client.auditor.search_server import SearchServer, searching
from tidegate.cli.main import main


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeLog:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "TIDEGATE_TRUST", "TIDEGATE_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    made = MadeLog.at(tmp_path)
    made.append(life_of_a_release())
    return made


def trace(server: SearchServer, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    main(["trace", DIGEST, "--registry", server.host, "--key", str(server.log.signer.key), "--json", *arguments])
    document: dict[str, object] = json.loads(capsys.readouterr().out)  # noqa: TID251 - our own output
    return document


def test_a_revocation_that_the_search_hides_is_found_by_reading_the_whole_log(
    log: MadeLog, capsys: pytest.CaptureFixture[str]
) -> None:
    with searching(log) as server:
        server.hidden = {12}
        asked, whole = trace(server, capsys), trace(server, capsys, "--complete")
    assert (asked["revoked"], asked["complete"]) == (False, False)  # it does not claim that nothing is missing
    assert (whole["revoked"], whole["complete"]) == (True, True)


@pytest.mark.parametrize("altered", [(b"leaks", b"looks"), (b'"allowed":false', b'"allowed":true')])
def test_an_entry_that_is_told_otherwise_than_it_was_logged_is_refused(
    log: MadeLog, capsys: pytest.CaptureFixture[str], altered: tuple[bytes, bytes]
) -> None:
    with searching(log) as server:
        server.altered = altered
        error = trace(server, capsys)["error"]
    assert isinstance(error, dict)
    assert (error["code"], error["reasons"][0]["code"]) == ("log-refused", "search-differs")


def test_an_entry_that_was_never_logged_is_never_shown_as_proven(
    log: MadeLog, capsys: pytest.CaptureFixture[str]
) -> None:
    with searching(log) as server:
        forged = log.entries[9].replace(b'"stable"', b'"secret"').replace(b"000009", b"00000f")
        log.entries.append(forged)  # in its search, and not in the log
        document = trace(server, capsys)
    facts = document["facts"]
    assert isinstance(facts, list)
    assert [fact["proven"] for fact in facts if "secret" in fact["text"]] == [False]
    assert document["told"] == 1
