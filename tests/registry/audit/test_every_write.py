"""No write path without an entry: every writing route is walked, and the database refuses what was forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import httpx2
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text
from sqlmodel import delete, select, update

from tests.registry.policies.documents import policy
from tests.registry.policies.helpers import COMPANY_URL, Company
from tests.registry.promotion import walk as promotion  # test_entries walks it
from tests.registry.world import (
    AGENT,
    NO_TLS,
    PUBLISHER,
    SIBLING,
    T0,
    World,
    identity_of,
    make_index,
    missing_subject,
)
from tidegate.digest import Digest
from tidegate.formats.mediatypes import SIGSTORE_BUNDLE
from tidegate.tlog.merkle import EMPTY_ROOT
from tidegate_registry.access.principal import Principal, PrincipalKind
from tidegate_registry.artifacts import naming, pending
from tidegate_registry.artifacts.blobs import ensure_repository
from tidegate_registry.artifacts.tables import RepositoryRow, UploadRow
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, Refused
from tidegate_registry.audit.index import LOG_SEARCH
from tidegate_registry.audit.leader import acquire
from tidegate_registry.audit.problems import LogAhead
from tidegate_registry.audit.refusals import record_suppressed
from tidegate_registry.audit.sequence import LOG, note_halted, note_published
from tidegate_registry.background import steps_of_lone_worker, steps_of_server, steps_of_worker
from tidegate_registry.db import Db, NotAudited
from tidegate_registry.entry_types import event_types
from tidegate_registry.summaries import service as summaries

UPLOADS = f"/v2/{AGENT}/blobs/uploads/"
DIRECT = f"/api/v1/agents/{AGENT}/uploads"
ENROLMENTS, HOST = "/api/v1/enrolments", {"purpose": "host", "name": "edge-07"}
WRITES = {"POST", "PUT", "PATCH", "DELETE"}

# Routes that change no state of the registry, each with the reason why no entry follows.
NO_STATE = {
    ("POST", "/api/v1/policies/{name}/what-if"): "says what a text would change, and changes nothing",
    ("POST", "/v2/token"): "issues a token; what it is used for is an entry, and a refused credential is one",
    ("PATCH", "/v2/{name}/blobs/uploads/{session}"): "bytes of an unfinished upload; the blob is an entry when it ends",
    ("DELETE", "/v2/{name}/blobs/uploads/{session}"): "drops an unfinished upload, of which nothing was known",
    ("POST", "/api/v1/agents/{namespace}/{agent}/uploads"): "says where bytes may go; the blob is an entry at commit",
    ("POST", "/api/v1/agents/{namespace}/{agent}/uploads/parts"): "the same for parts of a large blob",
    ("DELETE", "/v2/{name}/blobs/{digest}"): "always refused, and the refusal is an entry",
    ("DELETE", "/v2/{name}/manifests/{reference}"): "always refused, and the refusal is an entry",
}


def _post_upload(world: World, client: httpx2.Client) -> None:
    world.push_blob(client, b"sent whole")


def _put_upload(world: World, client: httpx2.Client) -> None:
    where = client.post(UPLOADS).headers["location"]
    assert client.put(where, params={"digest": Digest.of(b"in parts")}, content=b"in parts").status_code == 201


def _commit_uploads(world: World, client: httpx2.Client) -> None:
    blobs = {"blobs": [{"digest": Digest.of(b"to the store"), "size": len(b"to the store")}]}
    (planned,) = client.post(DIRECT, json=blobs).json()["blobs"]
    put = planned["put"]
    sent = httpx2.put(put["url"], content=b"to the store", headers=put["headers"], trust_env=False, verify=NO_TLS)
    assert sent.status_code == 200, sent.text
    for _ in range(2):  # the second finds nothing new
        assert client.post(f"{DIRECT}/commit", json=blobs).status_code == 200


def _put_manifest(world: World, client: httpx2.Client) -> None:
    assert world.put(client, make_index()).status_code == 201


def _company(world: World) -> Company:
    company = Company(world)
    company.install()
    company.meet("anna", "ben")
    return company


def _propose_policy(world: World, _: httpx2.Client) -> int:
    company = _company(world)
    before = len(world.events())
    assert company.propose(company.admin("anna"), policy(description="new")).status_code == 201
    return before


def _approve_policy(world: World, _: httpx2.Client) -> int:
    company = _company(world)
    # nobody else who could agree afterwards is known yet, so this agreement alone puts nothing in force
    proposal = company.propose(company.admin("anna"), TWO_MORE).json()["id"]
    before = len(world.events())
    assert company.approve(company.admin("ben"), proposal).json()["state"] == "open"
    return before


def _apply_policy(world: World, _: httpx2.Client) -> int:
    company = _company(world)
    proposal = company.propose(company.admin("anna"), TWO_MORE).json()["id"]
    company.approve(company.admin("ben"), proposal)
    company.meet("cleo")
    before = len(world.events())
    assert company.apply(company.admin("ben"), proposal).json()["state"] == "applied"
    return before


def _make_enrolment(world: World, _: httpx2.Client) -> int:
    client, before = _company(world).admin("anna"), len(world.events())
    assert client.post(ENROLMENTS, json=HOST).status_code == 201
    return before


def _redeem_enrolment(world: World, client: httpx2.Client) -> int:
    token = _company(world).admin("anna").post(ENROLMENTS, json=HOST).json()["token"]
    before = len(world.events())
    assert client.post(f"{ENROLMENTS}/redemption", json={**HOST, "token": token}).status_code == 200
    return before


def _revert_policy(world: World, _: httpx2.Client) -> int:
    company = _company(world)
    alone = policy(editors={"allow": ["admin"], "approvals": 0})
    proposal = company.propose(company.admin("anna"), alone).json()["id"]
    company.approve(company.admin("ben"), proposal)
    before = len(world.events())
    back = {"number": 1, "reason": "it was better"}
    answer = company.admin("anna").post(f"{COMPANY_URL}/reverts", json=back, headers={"If-Match": company.tag()})
    assert answer.json()["applied"] == 3
    return before + 1  # it is in force at once, which is a second entry


# What the registry does by itself: the types of entries that a step can leave, or why it leaves none.
STEPS: dict[str, set[str] | str] = {
    "refusal-counts": {"request.refusals-suppressed"},
    "revocations": "forgets what is kept in memory",
    "trust": {"trust.changed"},
    "uploads": {"release.pending-ended"},
    "claims": "claims of unfinished uploads; a blob that nobody claims is removed by a collection, with an entry",
    "log-watch": "tells the operator how the log does",
    "promotions": {"promotion.decided", "channel.moved", "promotion.closed"},
    "log": {"log.object-missing"},
    "log-search": "an index over entries that are there",
    "summaries": {"vsa.attached", "vsa.not-made"},
}

TWO_MORE = policy(editors={"allow": ["admin"], "approvals": 2})
# each gives how many entries there were before the request that is looked at; None: none
WALK: dict[tuple[str, str], Callable[[World, httpx2.Client], int | None]] = {
    ("POST", "/api/v1/policies/{name}/proposals"): _propose_policy,
    ("POST", "/api/v1/policies/{name}/proposals/{proposal}/approvals"): _approve_policy,
    ("POST", "/api/v1/policies/{name}/proposals/{proposal}/application"): _apply_policy,
    ("POST", "/api/v1/policies/{name}/reverts"): _revert_policy,
    ("POST", "/api/v1/enrolments"): _make_enrolment,
    ("POST", "/api/v1/enrolments/redemption"): _redeem_enrolment,
    ("POST", "/v2/{name}/blobs/uploads/"): _post_upload,
    ("PUT", "/v2/{name}/blobs/uploads/{session}"): _put_upload,
    ("PUT", "/v2/{name}/manifests/{reference}"): _put_manifest,
    ("POST", "/api/v1/agents/{namespace}/{agent}/uploads/commit"): _commit_uploads,
}


def writing_routes(world: World) -> set[tuple[str, str]]:
    found = set()
    for context in world.app.router.routes:
        for route in _flatten(context):
            found |= {(method, route.path_format) for method in WRITES & set(route.methods or ())}
    return found


def _flatten(route: object) -> Iterator[APIRoute]:
    if isinstance(route, APIRoute):
        yield route
    for inner in getattr(getattr(route, "original_router", None), "routes", ()):
        yield from _flatten(inner)


def test_every_writing_route_is_walked_or_says_why_it_writes_nothing(world: World) -> None:
    routes = writing_routes(world)
    assert len(routes) >= 8, "the routes were not found; mend this test"
    assert routes == WALK.keys() | promotion.WALK.keys() | NO_STATE.keys()


@pytest.mark.parametrize("route", list(WALK), ids=" ".join)
def test_what_a_route_writes_is_an_entry(world: World, route: tuple[str, str]) -> None:
    before = WALK[route](world, world.client()) or 0
    assert len(world.events()) == before + 1


def test_every_step_of_the_background_says_which_entries_it_leaves(world: World) -> None:
    app, known = world.services, {kind.type for kind in event_types()}
    steps = (*steps_of_server(app, world.app.state.metrics, lambda: None), *steps_of_worker(app))
    assert {step.name for step in steps} | {LOG, LOG_SEARCH, summaries.NAME} == STEPS.keys()
    for leaves in STEPS.values():
        assert isinstance(leaves, str) or leaves <= known
    before = len(world.events())
    for step in steps:
        step.turn()  # the database would refuse what was written without an entry
    assert len(world.events()) == before, "nothing had happened"


def test_a_worker_that_answers_nobody_writes_nothing_either_while_the_database_is_behind(world: World) -> None:
    app = world.services
    steps = {step.name: step for step in steps_of_lone_worker(app)}
    wait_on_a_tag(world)
    world.clock.tick(days=30)
    before, lease = len(world.events()), acquire(app.db, LOG, "leader")
    assert lease is not None
    note_halted(app.db, lease, LogAhead.code)
    steps["log-watch"].turn()
    with pytest.raises(LogAhead):
        steps["uploads"].turn()
    assert len(world.events()) == before
    note_published(app.db, lease, 0, EMPTY_ROOT)
    steps["log-watch"].turn()
    steps["uploads"].turn()
    assert world.events()[-1]["type"] == "release.pending-ended"


def test_a_step_that_ends_what_waited_leaves_an_entry(world: World) -> None:
    app = world.services
    counts = partial(record_suppressed, app, world.services.refusals)
    server = steps_of_server(app, world.app.state.metrics, counts)
    steps = {step.name: step for step in (*server, *steps_of_worker(app))}
    client = world.client("reader")
    for _ in range(app.settings.limits.refusals_per_minute + 1):
        client.post(UPLOADS)
    wait_on_a_tag(world)
    world.clock.tick(days=30)
    steps["refusal-counts"].turn()
    steps["uploads"].turn()
    types = [event["type"] for event in world.events()]
    assert types[-2:] == ["request.refusals-suppressed", "release.pending-ended"]


def wait_on_a_tag(world: World) -> None:
    manifest, now = world.make_manifest(world.client(), b"unsigned"), world.clock()
    who = Principal(PrincipalKind.HUMAN, identity_of(PUBLISHER), PUBLISHER)
    with world.services.db.begin() as tx:
        naming.lock_agent(tx, AGENT, now)
        pending.record_pending(
            tx, world.services, who=who, repository=AGENT, version="1.0.0", manifest=manifest, now=now
        )


def test_every_change_that_a_publish_makes_is_an_entry_in_order(world: World) -> None:
    client = world.client()
    manifest = world.make_manifest(client, b"layer")
    evidence = world.make_manifest(client, b"bundle", artifact_type=SIGSTORE_BUNDLE, subject=manifest.descriptor)
    world.put(client, evidence)
    world.put(client, manifest, "1.0.0")
    world.put(client, manifest, "latest")
    assert [event["type"] for event in world.events()] == [
        *["blob.stored"] * 3,
        "manifest.stored",
        "release.admitted",
        "working-tag.moved",
    ]


def test_a_refused_delete_is_an_entry(world: World) -> None:
    client = world.client()
    client.delete(f"/v2/{AGENT}/manifests/1.0.0")
    client.delete(f"/v2/{SIBLING}/blobs/{Digest.of(b'')}")
    assert [event["type"] for event in world.events()] == ["request.refused"] * 2


def test_when_the_entry_cannot_be_written_nothing_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.client()
    manifest = world.make_manifest(client, b"layer", subject=missing_subject())

    def broken(*_: object, **__: object) -> str:
        raise RuntimeError("the log is full")

    monkeypatch.setattr(audit, "append", broken)
    for reference in (None, "latest", "1.0.0"):
        assert world.put(client, manifest, reference).status_code == 500
    monkeypatch.undo()
    assert client.get(f"/v2/{AGENT}/manifests/{manifest.digest}").status_code == 404
    assert client.get(f"/v2/{AGENT}/tags/list").status_code == 404


class TestGuard:
    """The database itself: a transaction that writes without an entry does not commit."""

    @pytest.fixture
    def db(self, database_url: str) -> Iterator[Db]:
        db = Db(database_url)
        db.create_all()
        yield db
        db.close()

    def count(self, db: Db) -> int:
        with db.read() as tx:
            return sum(tx.get(RepositoryRow, name) is not None for name in ("a/b", "c/d"))

    def entry(self) -> Refused:
        return Refused(at=T0, actor=SYSTEM, operation="TEST", code="test", reasons=())

    def test_an_added_row_needs_an_entry(self, db: Db) -> None:
        with pytest.raises(NotAudited, match="repository"), db.begin() as tx:
            tx.add(RepositoryRow(name="a/b", created_at=T0))
        assert self.count(db) == 0

    def test_so_does_one_inserted_by_statement(self, db: Db) -> None:
        with pytest.raises(NotAudited, match="repository"), db.begin() as tx:
            ensure_repository(tx, "a/b", T0)
        assert self.count(db) == 0

    def test_so_do_changes_and_removals(self, db: Db) -> None:
        with db.begin() as tx:
            ensure_repository(tx, "a/b", T0)
            audit.append(tx, self.entry())
        for change in (
            lambda tx: tx.exec(update(RepositoryRow).values(name="c/d")),
            lambda tx: tx.exec(delete(RepositoryRow)),
            lambda tx: setattr(tx.get_one(RepositoryRow, "a/b"), "name", "c/d"),
            lambda tx: tx.delete(tx.get_one(RepositoryRow, "a/b")),
        ):
            with pytest.raises(NotAudited, match="repository"), db.begin() as tx:
                change(tx)
        assert self.count(db) == 1

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO repository (name, created_at) VALUES ('c/d', '2026-03-01 12:00:00')",
            "UPDATE \"repository\" SET name = 'c/d'",
            "  delete\n from repository",
            "WITH old AS (SELECT name FROM repository) DELETE FROM repository WHERE name IN (SELECT name FROM old)",
            "ALTER TABLE repository ADD COLUMN more INTEGER",
        ],
    )
    def test_so_does_whatever_is_said_to_the_database_itself(self, db: Db, statement: str) -> None:
        with db.begin() as tx:
            ensure_repository(tx, "a/b", T0)
            audit.append(tx, self.entry())
        with pytest.raises(NotAudited), db.begin() as tx:
            tx.connection().execute(text(statement))
        for transaction in (db.begin, db.scratch, db.bookkeeping):
            with pytest.raises(NotAudited), transaction() as tx:
                tx.connection().exec_driver_sql(statement)
        assert self.count(db) == 1

    def test_what_changes_nothing_needs_none(self, db: Db) -> None:
        with db.begin() as tx:
            ensure_repository(tx, "a/b", T0)
            audit.append(tx, self.entry())
        with db.begin() as tx:
            ensure_repository(tx, "a/b", T0)
            reading = "WITH old AS (SELECT name FROM repository) SELECT name FROM old"
            assert tx.connection().execute(text(reading)).scalar() == "a/b"
            tx.exec(select(RepositoryRow).with_for_update()).one()

    def test_with_an_entry_it_commits_and_reading_needs_none(self, db: Db) -> None:
        with db.begin() as tx:
            ensure_repository(tx, "a/b", T0)
            audit.append(tx, self.entry())
        with db.begin() as tx:
            assert tx.get(RepositoryRow, "a/b") is not None
        assert self.count(db) == 1

    def test_a_failure_takes_back_both(self, db: Db) -> None:
        def fail_late() -> None:
            with db.begin() as tx:
                ensure_repository(tx, "a/b", T0)
                audit.append(tx, self.entry())
                tx.flush()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_late()
        assert self.count(db) == 0
        with db.read() as tx:
            assert audit.entries(tx) == []

    def test_scratch_is_for_uploads_alone(self, db: Db) -> None:
        with db.scratch() as tx:
            tx.add(UploadRow(id="u", repository="a/b", owner="o", continued_at=T0))
        with pytest.raises(NotAudited, match="repository"), db.scratch() as tx:
            tx.add(RepositoryRow(name="a/b", created_at=T0))
        assert self.count(db) == 0
