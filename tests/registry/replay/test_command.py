"""`tidegate log replay` over a copy of a log, without its registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.registry.audit.publishing import log_signer
from tests.registry.promotion.world import Promotions
from tests.registry.replay.auditing import copy_log, replay_world
from tidegate.cli.main import main
from tidegate.formats.jcs import parse_object
from tidegate_registry.trusting.service import record_trust

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def promoted(promotions: Promotions) -> Promotions:
    record_trust(promotions.gate.services, promotions.gate.trust)
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    return promotions


def _document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return parse_object(capsys.readouterr().out.encode(), limit=1 << 24, what="what the command wrote")


def test_a_copy_of_a_log_is_replayed_and_an_object_that_was_swapped_is_seen(
    promoted: Promotions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate, folder = promoted.gate, tmp_path / "log"
    copy_log(gate, folder)
    command = ["log", "replay", "--from", str(folder), "--state", str(tmp_path / "state"), "--json"]
    command += ["--key", str(log_signer(gate.services).key)]
    assert main(command) == 0
    told = _document(capsys)
    assert (told["decisions"], told["agreed"], told["notable"]) == (2, 2, [])
    bundle = gate.data_of("evidence.verified")[0]["bundle"]
    hexadecimal = str(bundle).removeprefix("sha256:")
    (folder / "objects" / "sha256" / hexadecimal[:2] / hexadecimal).write_bytes(b"{}")
    assert main(command) == 1
    told = _document(capsys)
    assert {reason["code"] for each in told["notable"] for reason in each["reasons"]} == {"log-object-changed"}
    (folder / "objects" / "sha256" / hexadecimal[:2] / hexadecimal).unlink()
    assert main(command) == 1
    assert _document(capsys)["notReplayable"] == 2
    assert main([*command, "--allow-unreplayable"]) == 0
    capsys.readouterr()
    decided = gate.events("promotion.decided")[0]["id"]
    assert main([*command, "--entry", str(decided)]) == 1
    assert _document(capsys)["decisions"] == 1
    assert main([*command, "--entry", "0"]) == 1
    assert _document(capsys)["error"]["reasons"][0]["code"] == "decision-unknown"


def test_what_todays_trust_would_refuse_is_told_and_is_nobodys_fault(promoted: Promotions) -> None:
    gate = promoted.gate
    nobody = promoted.charter.model_copy(
        update={"publishers": (gate.shop.publisher.model_copy(update={"refs": ("refs/tags/release-*",)}),)}
    )
    summary, told = replay_world(gate, today=gate.shop.trusting(nobody))
    assert (summary.decisions, summary.agreed, summary.otherwise_today) == (2, 2, 1)
    assert [[reason.code for reason in each.today] for each in told] == [["otherwise-under-todays-trust"], []]


@pytest.mark.slow
def test_several_processes_come_to_the_same(promoted: Promotions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.auditor.replay.run.DECISIONS_FOR_PROCESSES", 1)
    alone, together = replay_world(promoted.gate, processes=1), replay_world(promoted.gate, processes=2)
    assert alone == together
    assert together[0].agreed == 2
