"""Watching: what is told, that nothing is lost while a receiver is down, and that a log gone wrong is told too."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.client.auditor.made import ISSUER, START, life_of_a_release, raw_entry
from tests.client.auditor.made_log import ORIGIN, MadeLog
from tidegate.auditor.alerts import Alert
from tidegate.auditor.position import Position, load_position
from tidegate.auditor.rules import Mine, Rule, WatchRules
from tidegate.auditor.watch import Deliver, Told, Watcher, persistently
from tidegate.errors import InvalidInput, LimitExceeded, LogRefused, NotFound, TileInvalid, Unreachable
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.tlog.merkle import EMPTY_ROOT
from tidegate.tlog.note import Algorithm, VerifierKey
from tidegate.tlog.proof import verify_proof

NOTHING = WatchRules(refusals=1_000)
MINE = WatchRules(mine=(Mine(ISSUER, "ci@acme"),), policy_changes=True)


@pytest.fixture
def log(tmp_path: Path) -> MadeLog:
    made = MadeLog.at(tmp_path)
    made.append(life_of_a_release())
    return made


def watcher(
    log: MadeLog, deliver: Deliver, rules: WatchRules = MINE, *, resume: Path | None = None, need: int = 0
) -> Watcher:
    position = load_position(resume) if resume else None
    follower = log.follower(position)
    if need:
        witness = VerifierKey("witness.example", Algorithm.COSIGNATURE_ED25519, bytes(32))
        follower._open_log = lambda: log.open(need=need, witnesses=(witness,))
    place = position or Position(ORIGIN, 0, EMPTY_ROOT)

    def now() -> datetime:
        return log.now

    return Watcher(rules, follower, deliver, place=place, told=Told.of(rules, place.kept), resume=resume, clock=now)


def test_an_alert_carries_its_entry_and_a_proof_that_verifies_offline(log: MadeLog) -> None:
    told = list[Alert]()
    watcher(log, told.append).round()
    assert [(alert.rule, alert.index) for alert in told] == [
        (Rule.POLICY_CHANGED, 0),
        (Rule.POLICY_CHANGED, 1),
        (Rule.IDENTITY_USED, 2),
    ]
    for alert in told:
        document = alert.as_json()
        proof, entry = str(document["proof"]).encode(), canonical_bytes(document["entry"])
        assert verify_proof(proof, entry, log.trust.policy).index == document["index"]


def test_the_same_alert_has_the_same_id_whoever_makes_it_and_no_two_share_one(log: MadeLog, tmp_path: Path) -> None:
    one, other = list[Alert](), list[Alert]()
    watcher(log, one.append).round()
    watcher(log, other.append).round()
    assert [alert.id for alert in one] == [alert.id for alert in other]
    assert len({alert.id for alert in one}) == len(one) == 3


def test_while_the_receiver_is_down_nothing_counts_as_told_and_nothing_is_lost(log: MadeLog, tmp_path: Path) -> None:
    told, resume = list[Alert](), tmp_path / "position.json"
    limit = 1

    def deliver(alert: Alert) -> None:
        if len(told) >= limit:
            raise Unreachable("the webhook does not answer", code="webhook-unreachable")
        told.append(alert)

    with pytest.raises(Unreachable):
        watcher(log, deliver, resume=resume).round()
    limit = 100
    watcher(log, deliver, resume=resume).round()
    assert {alert.index for alert in told} == {0, 1, 2}
    assert [alert.id for alert in told].count(told[0].id) == 2  # at least once, with the same id
    before = len(told)
    watcher(log, deliver, resume=resume).round()
    assert len(told) == before


def test_refusals_of_a_part_that_comes_again_are_not_counted_twice(log: MadeLog) -> None:
    data: JsonObject = {"operation": "PUT /x", "code": "denied"}
    log.append([raw_entry("request.refused", data, number=100 + n, name="ci@acme") for n in range(3)])
    told, down = list[Alert](), True

    def deliver(alert: Alert) -> None:
        if down:
            raise Unreachable("the webhook does not answer", code="webhook-unreachable")
        told.append(alert)

    watching = watcher(log, deliver, WatchRules(mine=MINE.mine, refusals=3))
    for _ in range(5):
        with pytest.raises(Unreachable):
            watching.round()
    down = False
    watching.round()
    assert Rule.REFUSALS not in {alert.rule for alert in told}


def test_a_watcher_that_begins_at_the_end_tells_only_of_what_comes(log: MadeLog, tmp_path: Path) -> None:
    told, resume = list[Alert](), tmp_path / "position.json"
    watching = watcher(log, told.append, resume=resume)
    watching.begin_at_end()
    watching.round()
    assert told == []
    log.append(life_of_a_release()[:1])
    watcher(log, told.append, resume=resume).round()
    assert [alert.index for alert in told] == [13]


def test_a_log_that_stands_still_is_told_once_and_again_after_it_moved(log: MadeLog) -> None:
    told = list[Alert]()
    watching = watcher(log, told.append, WatchRules(quiet=timedelta(minutes=30)))
    watching.round()
    watching.round()
    assert [alert.rule for alert in told] == [Rule.LOG_QUIET]
    log.append([raw_entry("release.admitted", {}, seconds=3600, number=50)])
    watching.round()
    log.now += timedelta(hours=2)
    watching.round()
    assert [alert.rule for alert in told] == [Rule.LOG_QUIET] * 2
    assert told[0].id != told[1].id


def test_a_checkpoint_without_its_witnesses_is_told_once_and_no_entry_of_it_is_read(log: MadeLog) -> None:
    told = list[Alert]()
    watching = watcher(log, told.append, need=1)
    assert not watching.round()
    assert not watching.round()  # told once, and still not as it must be
    assert [(alert.rule, alert.index, alert.checkpoint) for alert in told] == [(Rule.WITNESSES_MISSING, None, None)]


def test_bytes_that_are_no_entry_are_told_whatever_the_rules(log: MadeLog) -> None:
    log.append([b"\x1b[2J not json"])
    told = list[Alert]()
    watcher(log, told.append, NOTHING).round()
    assert [(alert.rule, alert.index) for alert in told] == [(Rule.ENTRY_UNREADABLE, 13)]
    assert "\x1b" not in told[0].line()


def forked(log: MadeLog) -> None:
    log.edge, log.entries = type(log.edge)(), []
    log.append(life_of_a_release()[::-1])


def truncated(log: MadeLog) -> None:
    log.edge, log.entries = type(log.edge)(), []
    log.append(life_of_a_release()[:4])


def signed_by_another(log: MadeLog) -> None:
    trusted, log.signer = log.signer, type(log.signer)(ORIGIN, Ed25519PrivateKey.generate())
    log.publish()
    log.signer = trusted


@pytest.mark.parametrize(
    ("harm", "code"),
    [(forked, "log-fork"), (truncated, "log-truncated"), (signed_by_another, "note-unsigned")],
)
def test_a_log_gone_wrong_is_told_and_ends_the_watch(log: MadeLog, harm: object, code: str) -> None:
    told = list[Alert]()
    watching = watcher(log, told.append, NOTHING)
    watching.round()
    assert callable(harm)
    harm(log)
    with pytest.raises(LogRefused) as refused:
        watching.round()
    assert refused.value.reasons[0].code == code
    assert [(alert.rule, alert.entry, alert.proof) for alert in told] == [(Rule.LOG_REFUSED, None, None)]


def gone(log: MadeLog) -> None:
    (log.folder / "checkpoint").unlink()


def flooded(log: MadeLog) -> None:
    log.write("checkpoint", bytes(1 << 20))


@pytest.mark.parametrize(("harm", "code"), [(gone, "log-missing"), (flooded, "limit-exceeded")])
def test_a_log_that_is_taken_away_is_told_and_ends_the_watch(log: MadeLog, harm: object, code: str) -> None:
    told = list[Alert]()
    watching = watcher(log, told.append, NOTHING)
    watching.round()
    assert callable(harm)
    harm(log)
    with pytest.raises((NotFound, LimitExceeded)) as refused:
        watching.round()
    assert refused.value.reasons[0].code == code
    assert [alert.rule for alert in told] == [Rule.LOG_REFUSED]


def test_a_watch_that_begins_while_the_log_is_forked_tells_it(log: MadeLog) -> None:
    told = list[Alert]()
    log.open()
    forked(log)
    with pytest.raises(LogRefused):
        watcher(log, told.append).begin_at_end()
    assert [alert.rule for alert in told] == [Rule.LOG_REFUSED]


def test_a_watch_cannot_begin_before_the_witnesses_are_there(log: MadeLog) -> None:
    told = list[Alert]()
    assert not watcher(log, told.append, need=1).begin_at_end()
    assert [alert.rule for alert in told] == [Rule.WITNESSES_MISSING]
    assert watcher(log, told.append).begin_at_end()


def test_a_log_that_stops_to_answer_is_quiet_in_the_end(log: MadeLog) -> None:
    told = list[Alert]()
    watching = watcher(log, told.append, WatchRules(quiet=timedelta(hours=2)))
    watching.round()
    log.append([raw_entry("release.admitted", {}, seconds=900, number=50)])
    (tile,) = (log.folder / "tile/0").rglob("*/14")
    tile.unlink()
    for hours in (1, 2, 2):
        log.now = START + timedelta(hours=hours, minutes=13)
        with pytest.raises(TileInvalid):
            watching.round()
    assert [alert.rule for alert in told] == [Rule.LOG_QUIET]
    assert "cannot be read" in told[0].message


def test_an_entry_of_the_future_does_not_make_a_quiet_log_busy(log: MadeLog) -> None:
    told = list[Alert]()
    watching = watcher(log, told.append, WatchRules(quiet=timedelta(hours=2)))
    log.append([raw_entry("release.admitted", {}, seconds=365 * 86400, number=50)])
    watching.round()
    log.now += timedelta(hours=3)
    watching.round()
    assert [alert.rule for alert in told] == [Rule.LOG_QUIET]


def test_a_watch_that_would_begin_behind_the_end_is_refused(log: MadeLog) -> None:
    watching = watcher(log, lambda _: None)
    watching._follower.next = 14
    with pytest.raises(InvalidInput) as refused:
        watching.round()
    assert refused.value.reasons[0].code == "log-bound"


def test_a_missing_tile_is_borne_with_and_a_foreign_one_is_told(log: MadeLog) -> None:
    told = list[Alert]()
    (bundle,) = (log.folder / "tile/entries").rglob("*/13")
    good = bundle.read_bytes()
    bundle.unlink()
    with pytest.raises(TileInvalid):
        watcher(log, told.append, NOTHING).round()
    assert told == []
    bundle.write_bytes(good.replace(b"leaks", b"looks"))
    with pytest.raises(TileInvalid):
        watcher(log, told.append, NOTHING).round()
    assert [alert.rule for alert in told] == [Rule.LOG_REFUSED]


def test_the_line_of_an_alert_steers_no_terminal(log: MadeLog) -> None:
    log.append([raw_entry("policy.applied", {"policy": "\x1b[2J\u202e\x9b", "number": 9}, number=77)])
    told = list[Alert]()
    watcher(log, told.append).round()
    assert "\x1b" in told[-1].message
    assert not set("\x1b\u202e\x9b") & set(told[-1].line())


def test_a_delivery_is_tried_again_with_growing_waits_and_at_most_so_often(log: MadeLog) -> None:
    waited, tried = list[float](), 0

    def deliver(_: Alert) -> None:
        nonlocal tried
        tried += 1
        if tried < 9:
            raise Unreachable("the webhook does not answer", found="connection refused")

    alert = Alert(Rule.BREAK_GLASS, "broken", log.now, ORIGIN, "1")
    persistently(deliver, sleep=waited.append, tell=lambda *_: None)(alert)
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60]
    tried = 0
    with pytest.raises(Unreachable):
        persistently(deliver, sleep=waited.append, tell=lambda *_: None, attempts=5)(alert)
    assert tried == 5
