"""Search in the log: every filter, pages that stay what they are, and an index that can be made again."""

from __future__ import annotations

import base64
import json
import random
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy import text

from tests.client.auditor.made import raw_entry
from tests.registry.audit.logged import DECIDED, T0, Logged
from tests.registry.world import World
from tidegate.digest import Digest
from tidegate.formats.entry import parse_entry
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.tlog.merkle import leaf_hash
from tidegate_registry import migrations
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.rights import AccessRules
from tidegate_registry.audit import index, searchdb
from tidegate_registry.audit.leader import Lease
from tidegate_registry.audit.out import show_entry
from tidegate_registry.audit.search import (
    PAGE_BYTES,
    EntryUnknown,
    Found,
    SearchInvalid,
    Wanted,
    _fitting,
    find_entry,
    search,
)
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.audit.terms import term, terms_of, word_terms
from tidegate_registry.background import led_steps
from tidegate_registry.db import Db
from tidegate_registry.key_files import create_private_key
from tidegate_registry.settings import Mode, Settings
from tidegate_registry.settings_log import LogSettings
from tidegate_registry.worker import Did

if TYPE_CHECKING:
    from tidegate_registry.services import Services

DIGEST, OTHER = str(Digest.of(b"a release")), str(Digest.of(b"another"))
DECISION = "0190d7c0-0000-7000-8000-00000000000d"


@pytest.fixture
def log(database_url: str) -> Iterator[Logged]:
    db = Db(database_url)
    migrations.upgrade(db)
    yield Logged(db)
    db.close()


@pytest.fixture
def told(log: Logged) -> Logged:
    """Six entries, a minute apart from T0."""
    log.moved(digest=DIGEST)
    log.moved("acme/other-agent", by="erin", decision=DECISION)
    log.moved("umbra/agent", kind=DECIDED, digest=DIGEST, reason="Hotfix for ticket 4711: Übergabe")
    log.refused("no evaluation by signer evals")
    log.refused("the approval has expired", code="approval-expired")
    log.moved(kind=DECIDED, by="erin", digest=OTHER)
    assert log.integrate() == 6
    return log


def found(log: Logged, wanted: Wanted, *, after: str = "", size: int = 50) -> list[int]:
    return [each.row.idx or 0 for each in search(log.app, wanted, after=after, size=size).items]


FOUND: list[tuple[Wanted, list[int]]] = [
    (Wanted(), [5, 4, 3, 2, 1, 0]),
    (Wanted(agent="acme/support-agent"), [5, 0]),
    (Wanted(agent="acme/*"), [5, 1, 0]),
    (Wanted(agent="acme"), []),
    (Wanted(actor="erin"), [5, 1]),
    (Wanted(actor="eri"), []),
    (Wanted(types=("channel.moved",)), [1, 0]),
    (Wanted(types=("promotion.*",)), [5, 2]),
    (Wanted(types=("promotion.*", "request.refused")), [5, 4, 3, 2]),
    (Wanted(digest=DIGEST), [2, 0]),
    (Wanted(decision=DECISION), [1]),
    (Wanted(words="hotfix"), [2]),
    (Wanted(words="ÜBERGABE 4711"), [2]),
    (Wanted(words="approval-expired"), [4]),
    (Wanted(words="evaluation evals"), [3]),
    (Wanted(words="evaluation approval"), []),
    (Wanted(since=T0 + timedelta(minutes=4)), [5, 4]),
    (Wanted(until=T0 + timedelta(minutes=1)), [0]),
    (Wanted(since=T0 + timedelta(minutes=1), until=T0 + timedelta(minutes=3)), [2, 1]),
    (Wanted(since=T0 + timedelta(days=1)), []),
    (Wanted(agent="acme/*", actor="erin", types=("promotion.*",), digest=OTHER, since=T0), [5]),
    (Wanted(agent="acme/*", actor="dave", types=("promotion.*",)), []),
]


def test_all_filters_must_fit(told: Logged) -> None:
    assert [(wanted, found(told, wanted)) for wanted, _ in FOUND] == FOUND


def test_an_entry_is_found_by_its_own_id_and_by_its_index(told: Logged) -> None:
    assert find_entry(told.app, "3").row.id == told.ids[3]
    assert find_entry(told.app, told.ids[3]).row.idx == 3
    assert found(told, Wanted(decision=told.ids[3])) == [3]
    for name in ("6", "-1", "03", str(uuid.UUID(int=0)), "1 OR 1=1", "\0", "\0" * 36):
        with pytest.raises(EntryUnknown) as caught:
            find_entry(told.app, name)
        assert caught.value.reasons[0].code == "entry-unknown"


def test_what_no_entry_can_be_found_by_is_refused(told: Logged) -> None:
    too_many = Wanted(words=" ".join("abcdefghijklmnopq"))
    for wanted in (Wanted(types=("*",)), Wanted(types=("x' OR",)), Wanted(words="&|!"), too_many):
        with pytest.raises(SearchInvalid) as caught:
            search(told.app, wanted, after="", size=5)
        assert caught.value.reasons[0].code == "search-invalid"


def test_pages_stay_what_they_are_while_the_log_grows(told: Logged) -> None:
    first = search(told.app, Wanted(agent="acme/*"), after="", size=2)
    assert [each.row.idx for each in first.items] == [5, 1]
    assert first.next is not None
    told.moved()
    told.integrate()
    second = search(told.app, Wanted(agent="acme/*"), after=first.next, size=2)
    assert ([each.row.idx for each in second.items], second.next) == ([0], None)
    assert found(told, Wanted(agent="acme/*"), size=1) == [6]


def test_entries_that_no_checkpoint_covers_are_found_by_id_alone(told: Logged) -> None:
    pending = told.moved()
    assert find_entry(told.app, pending).row.idx is None
    assert found(told, Wanted(decision=pending)) == []
    assert told.integrate() == 7
    assert found(told, Wanted(decision=pending)) == [6]


def test_many_entries_of_one_minute_are_told_page_by_page(log: Logged) -> None:
    """Times rule out most of what a block of times holds; a page may be short, and its cursor goes on."""
    for number in range(120):
        log.moved(by="dave" if number % 40 == 0 else "erin")
    log.integrate()
    wanted, after, seen = Wanted(until=T0 + timedelta(minutes=30)), "", list[int]()
    for _ in range(200):
        page = search(log.app, wanted, after=after, size=3)
        seen += [each.row.idx or 0 for each in page.items]
        if page.next is None:
            break
        after = page.next
    assert seen == list(range(29, -1, -1))


def test_an_entry_whose_clock_was_set_back_is_found_by_the_time_that_it_says(log: Logged) -> None:
    for number in range(300):
        log.now = T0 - timedelta(days=365) if number == 270 else T0 + timedelta(minutes=number)
        log.moved()
    log.integrate()
    assert found(log, Wanted(until=T0)) == [270]
    assert 270 not in found(log, Wanted(since=T0))


def test_a_replica_that_comes_second_or_again_adds_nothing(told: Logged) -> None:
    for _ in range(40):
        told.moved(reason="again and again")
    told.integrate(indexed=False)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: [index.index_entries(told.app, batch=5) for _ in range(12)], range(4)))
    with told.db.read() as tx:
        assert index.indexed_size(tx) == 46
    assert found(told, Wanted(words="again"), size=60) == list(range(45, 5, -1))
    assert index.index_entries(told.app) == 0


def test_a_crash_within_a_batch_leaves_nothing_of_it(told: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    told.moved(reason="unlucky")
    told.integrate(indexed=False)
    with monkeypatch.context() as patched:
        patched.setattr(searchdb, "note_times", None)
        with pytest.raises(TypeError):
            index.index_entries(told.app)
    assert found(told, Wanted(words="unlucky")) == []
    assert index.index_entries(told.app) == 1
    assert found(told, Wanted(words="unlucky")) == [6]


def contents(log: Logged) -> list[object]:
    """All that the index holds, so that two can be compared."""
    query = "SELECT rowid, term, doc FROM log_words ORDER BY term, doc"
    with log.db.engine.connect() as connection:
        if log.db.is_sqlite:
            connection.execute(text("CREATE VIRTUAL TABLE temp.log_words USING fts5vocab(main, log_search, instance)"))
            rows = [tuple(row) for row in connection.execute(text(query.replace("rowid, ", "")))]
        else:
            rows = [
                tuple(row) for row in connection.execute(text("SELECT idx, terms::text FROM log_search ORDER BY 1"))
            ]
        times = connection.execute(text("SELECT block, earliest, latest FROM log_times ORDER BY block"))
        return [*rows, *(tuple(row) for row in times)]


def test_an_index_that_is_made_again_is_the_same(told: Logged) -> None:
    before = contents(told)
    assert len(before) > 6
    with told.db.connect() as connection:
        connection.execute(text("UPDATE log_indexed SET version = 0"))
    assert found(told, Wanted()) == [], "an index of another version is not believed"
    told.integrate()
    assert contents(told) == before
    assert found(told, Wanted(words="hotfix")) == [2]


def test_whatever_the_blocks_the_newest_come_first(log: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk over blocks against a list, for rare and common terms, at each edge. On SQLite there is none to test."""
    monkeypatch.setattr(searchdb, "LEVELS", (2, 4, 6))
    monkeypatch.setattr(searchdb, "MANY", 3)
    dice = random.Random(3)  # noqa: S311 # no secret
    words = {
        index: [term("word", name) for name, rate in RATES.items() if dice.random() < rate(index)]
        for index in range(200)
    }
    with log.db.bookkeeping() as tx:
        searchdb.add(tx, list(words.items()))
    with log.db.read() as tx:
        for name in (*RATES, "never"):
            for _ in range(25):
                low, most = dice.randrange(0, 60), dice.randrange(1, 30)
                below = dice.randrange(low, 201)
                having = [each for each in range(below - 1, low - 1, -1) if term("word", name) in words[each]]
                assert searchdb.newest(tx, [[term("word", name)]], low=low, below=below, most=most) == having[:most]
        both = [[term("word", "half")], [term("word", "rare"), term("word", "old")]]
        having = [each for each in range(199, -1, -1) if all(set(group) & set(words[each]) for group in both)]
        assert searchdb.newest(tx, both, low=0, below=200, most=200) == having


RATES: dict[str, Callable[[int], float]] = {
    "all": lambda _: 1.0,
    "half": lambda _: 0.5,
    "rare": lambda _: 0.03,
    "old": lambda index: 1.0 if index < 40 else 0.0,
    "new": lambda index: 1.0 if index >= 190 else 0.0,
}


def test_no_search_reads_the_whole_index(told: Logged) -> None:
    """Neither database walks over all rows: it goes by the terms."""
    groups = word_terms("hotfix")
    with told.db.read() as tx:
        if told.db.is_sqlite:
            plan = tx.connection().execute(
                text("EXPLAIN QUERY PLAN SELECT rowid FROM log_search WHERE log_search MATCH :q AND rowid < 9"),
                {"q": groups[0]},
            )
            assert "VIRTUAL TABLE INDEX" in str(plan.all())
        else:
            assert searchdb.newest(tx, [groups], low=0, below=9, most=5) == [2]
            plan = tx.connection().execute(
                text("EXPLAIN SELECT idx FROM log_search WHERE terms @@ CAST(:q AS tsquery) AND idx + 0 < 9 LIMIT 5"),
                {"q": groups[0]},
            )
            assert "Bitmap Index Scan on log_search_by_terms" in str(plan.all())


def test_the_api_tells_each_entry_as_it_is_hashed_and_where_to_prove_it(world: World) -> None:
    log = Logged(world.services.db)
    log.moved(reason="for all to see")
    log.refused("not for all")
    log.integrate()
    access = world.services.access
    assert isinstance(access, Gatekeeper)
    before, access.rules = access.rules, AccessRules(public_log=True)
    try:
        client = world.client(None)
        page = client.get("/api/v1/log/entries", params={"type": ["channel.*", "promotion.*"], "q": "see"}).json()
        (item,) = page["items"]
        assert (page["next"], page["searched"], item["index"], item["state"]) == (None, 2, 0, "published")
        raw = find_entry(world.services, "0").row.body
        assert canonical_bytes(item["entry"]) == raw
        assert raw in client.get("/api/v1/log/entries/0").content, "byte for byte"
        assert base64.b64decode(item["leafHash"]) == leaf_hash(raw)
        assert item["proof"] == {
            "checkpoint": "/log/checkpoint",
            "bundle": "/log/tile/entries/000.p/2",
            "tile": "/log/tile/0/000.p/2",
        }
        pending = log.moved()
        shown = client.get(f"/api/v1/log/entries/{pending}").json()
        assert (shown["index"], shown["state"], shown["proof"]) == (None, "pending", None)
        again = client.get("/api/v1/log/entries/0")
        known = client.get("/api/v1/log/entries/0", headers={"If-None-Match": again.headers["etag"]})
        assert known.status_code == 304
    finally:
        access.rules = before


def test_the_worker_that_makes_the_log_also_makes_its_index(told: Logged, tmp_path: Path) -> None:
    create_private_key(tmp_path / "log.pem", ed25519.Ed25519PrivateKey.generate())
    settings = Settings(mode=Mode.SANDBOX, log=LogSettings(key=f"file:{tmp_path}/log.pem"))
    app = cast("Services", SimpleNamespace(db=told.db, settings=settings))
    (step,) = [step for step in led_steps(app) if step.name == index.LOG_SEARCH]
    lease = Lease(step.name, "somebody", 1)
    assert step.turn(lease) is Did.NOTHING
    told.moved(reason="by the worker")
    told.integrate(indexed=False)
    assert step.turn(lease) is Did.SOMETHING
    assert found(told, Wanted(words="worker")) == [6]


def test_a_digest_that_names_a_member_is_found_and_reasons_come_before_all_other_words() -> None:
    data: JsonObject = {
        "a": " ".join(f"w{n}" for n in range(300)),
        "reasons": [{"found": "special"}],
        "roots": {DIGEST: "main"},
    }
    document = json.loads(raw_entry("policy.applied", {}))  # noqa: TID251 - our own entry
    found = terms_of(parse_entry(canonical_bytes({**document, "data": data})))
    assert term("digest", DIGEST) in found
    assert term("word", "special") in found


def test_a_page_is_bounded_in_bytes_and_has_one_entry_at_least() -> None:
    rows = [cast("AuditEventRow", SimpleNamespace(body=bytes(size))) for size in (PAGE_BYTES, 1, PAGE_BYTES - 1)]
    assert [len(_fitting(some)) for some in (rows[:1], rows, rows[1:], rows[::-1])] == [1, 1, 2, 2]


def test_an_entry_that_no_checkpoint_covers_is_not_called_published() -> None:
    row = cast("AuditEventRow", SimpleNamespace(idx=5, body=raw_entry("policy.applied", {})))
    states = [(shown["state"], shown["proof"] is None) for shown in (show_entry(Found(row, size)) for size in (5, 6))]
    assert states == [("integrated", True), ("published", False)]
