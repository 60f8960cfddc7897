"""The support agent as a person starts it, its migrations, and its evaluation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.client.examples.agent_host import (
    BUNDLE,
    StartHost,
    snapshot,
    text_of,
)
from tidegate.digest import Digest
from tidegate.evaluation.readers import table


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
    runs = table.read_runs(done.stdout.encode())
    assert len(runs) > 5
    assert all(run.passed for run in runs)
    assert done.returncode == 0
