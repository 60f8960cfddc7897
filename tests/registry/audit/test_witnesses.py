"""Witnesses are asked before a checkpoint is published; enough of them must answer, rightly and in time."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.registry.audit.logworld import LogWorld, log_world
from tidegate.errors import CheckpointInvalid
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.cosigner import Ed25519Cosigner
from tidegate.tlog.edge import Edge
from tidegate.tlog.note import Note, Signature, VerifierKey, sign_note
from tidegate.tlog.opened import OpenedCheckpoint, open_checkpoint
from tidegate.tlog.policy import LogPolicy
from tidegate.tlog.witness import SIZE_TYPE, AddCheckpoint, format_size
from tidegate_registry.audit.integrate import Integrator
from tidegate_registry.audit.witnesses import LogUnwitnessed, Witnesses
from tidegate_registry.sandbox.keys import KeyStore
from tidegate_registry.sandbox.ports import address, bind
from tidegate_registry.sandbox.serve import ServerThread
from tidegate_registry.sandbox.witness import Answer, Witness
from tidegate_registry.settings_log import LogSettings, WitnessFailure, WitnessSettings

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
Behaviour = Callable[[bytes], Answer]


@dataclass
class Town:
    """Witnesses on one server, by number; `behave` puts something in the place of what one does."""

    folder: Path
    log: VerifierKey
    url: str = ""
    witnesses: dict[int, Witness] = field(default_factory=dict)
    behaviours: dict[int, Behaviour] = field(default_factory=dict)
    asked: list[AddCheckpoint] = field(default_factory=list)

    def witness(self, number: int) -> Witness:
        if number not in self.witnesses:
            place = self.folder / str(number)
            keys = KeyStore(place / "keys")
            self.witnesses[number] = Witness(keys, place / "seen", {self.log.name: self.log}, lambda: NOW)
        return self.witnesses[number]

    def answer(self, number: int, raw: bytes) -> Answer:
        self.asked.append(AddCheckpoint.parse(raw))
        return self.behaviours.get(number, self.witness(number).add)(raw)

    def ask(self, count: int, quorum: int, failure: WitnessFailure = WitnessFailure.CLOSED) -> Witnesses:
        named = tuple(
            WitnessSettings(url=f"{self.url}/{number}", key=str(self.witness(number).key)) for number in range(count)
        )
        made = Witnesses.configured(LogSettings(witnesses=named, witness_quorum=quorum, witness_failure=failure))
        assert made is not None
        return made


@pytest.fixture
def world(database_url: str) -> Iterator[LogWorld]:
    with log_world(database_url) as made:
        yield made


@pytest.fixture
def town(tmp_path: Path, world: LogWorld) -> Iterator[Town]:
    made = Town(tmp_path, world.signer.key)

    async def post(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        answer = await run_in_threadpool(made.answer, int(request.path_params["number"]), await request.body())
        headers = {"Location": f"{made.url}/0/add-checkpoint"} if answer.status == 307 else {}
        if answer.body.startswith(b"\x1f\x8b"):
            headers["Content-Encoding"] = "gzip"
        return Response(answer.body, answer.status, headers=headers, media_type=answer.media_type)

    listener = bind(0)
    made.url = f"http://{address(listener)}"
    server = ServerThread(Starlette(routes=[Route("/{number}/add-checkpoint", post, methods=["POST"])]), listener, "w")
    server.start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        server.wait()
        yield made


def publish(world: LogWorld, witnesses: Witnesses, count: int = 3) -> None:
    world.append(count)
    world.finish(Integrator(world.app, world.signer, witnesses=witnesses, ticks=lambda: 0.0))


def published(world: LogWorld, town: Town, need: int, count: int = 3) -> OpenedCheckpoint:
    keys = [town.witness(number).key for number in range(count)]
    raw = world.bucket.files["checkpoint"]
    return open_checkpoint(raw, LogPolicy.need_of(world.signer.key, need, keys), now=NOW)


def test_a_published_checkpoint_carries_the_cosignatures_of_all_who_agreed(world: LogWorld, town: Town) -> None:
    witnesses = town.ask(3, 3)
    for size in (3, 6, 9):
        publish(world, witnesses)
        opened = published(world, town, 3)
        assert (opened.checkpoint.size, len(opened.cosigned)) == (size, 3)
    assert [each.old for each in town.asked[::3]] == [0, 3, 6], "each is asked from what it has seen"


@pytest.mark.parametrize("down", [1, 2])
def test_k_of_n_are_enough_and_fewer_publish_nothing(world: LogWorld, town: Town, down: int) -> None:
    for number in range(down):
        town.behaviours[number] = lambda _: Answer(503)
    if down == 1:
        publish(world, town.ask(3, 2))
        assert len(published(world, town, 2).cosigned) == 2
        return
    with pytest.raises(LogUnwitnessed) as caught:
        publish(world, town.ask(3, 2))
    assert caught.value.reasons[0].code == "log-unwitnessed"
    assert "checkpoint" not in world.bucket.files
    town.behaviours.clear()
    world.finish(Integrator(world.app, world.signer, witnesses=town.ask(3, 2), ticks=lambda: 0.0))
    assert published(world, town, 2).checkpoint.size == 3, "and what waited is published when they are back"


def test_a_log_that_may_go_on_without_witnesses_does_and_cannot_hide_it(world: LogWorld, town: Town) -> None:
    town.behaviours[0] = lambda _: Answer(503)
    publish(world, town.ask(2, 2, WitnessFailure.OPEN))
    assert published(world, town, 1, 2).checkpoint.size == 3
    with pytest.raises(CheckpointInvalid) as caught:
        published(world, town, 2, 2)
    assert caught.value.reasons[0].code == "witnesses-missing"


def other_signature(raw: bytes, key: VerifierKey) -> bytes:
    """Give a line that names `key` and is signed by another one."""
    text = Note.parse(AddCheckpoint.parse(raw).checkpoint).text
    liar = Ed25519Cosigner(key.name, Ed25519PrivateKey.generate(), lambda: NOW)
    return f"{Signature(key.name, key.key_id, liar.sign(text))}\n".encode()


LIES: dict[str, Callable[[Town, bytes], Answer]] = {
    "another key under its name": lambda town, raw: Answer(200, other_signature(raw, town.witness(0).key)),
    "another witness's": lambda town, raw: Answer(200, town.witness(1).add(raw).body),
    "no signature": lambda _town, _raw: Answer(200, b"cosigned\n"),
    "without end": lambda _town, _raw: Answer(200, bytes(1 << 20)),
    "elsewhere": lambda _town, _raw: Answer(307),
    "a size in another form": lambda _town, _raw: Answer(409, b"01\n"),
    "the same size again and again": lambda _town, _raw: Answer(409, format_size(2)),
    "no": lambda _town, _raw: Answer(422),
    "small, and large once it is inflated": lambda town, raw: Answer(200, gzip.compress(town.witness(0).add(raw).body)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_witness_that_lies_is_not_counted(world: LogWorld, town: Town, lie: str) -> None:
    town.behaviours[0] = lambda raw: LIES[lie](town, raw)
    with pytest.raises(LogUnwitnessed):
        publish(world, town.ask(1, 1))
    assert "checkpoint" not in world.bucket.files
    assert len(town.asked) <= 2


def test_one_witness_does_not_count_twice_under_two_names(town: Town) -> None:
    one = town.witness(0).key
    other = VerifierKey("other.example", one.algorithm, one.public)
    named = tuple(WitnessSettings(url=f"{town.url}/0", key=str(key)) for key in (one, other))
    with pytest.raises(ValidationError, match="the same key"):
        LogSettings(witnesses=named, witness_quorum=2)


def test_a_slow_witness_is_not_waited_for_and_not_asked_twice_at_once(world: LogWorld, town: Town) -> None:
    done = threading.Event()

    def slow(_: bytes) -> Answer:
        done.wait(30)
        return Answer(503)

    town.behaviours[0] = slow
    witnesses = town.ask(2, 1)
    try:
        for size in (3, 6):
            publish(world, witnesses)
            assert len(published(world, town, 1, 2).cosigned) == 1
            assert published(world, town, 1, 2).checkpoint.size == size
    finally:
        done.set()


def test_a_witness_that_has_seen_more_of_the_log_than_we_know_tells_how_much(world: LogWorld, town: Town) -> None:
    publish(world, town.ask(1, 1), 50)
    publish(world, town.ask(1, 1), 7)  # by another leader, which remembers nothing
    assert [each.old for each in town.asked] == [0, 0, 50]
    assert published(world, town, 1, 1).checkpoint.size == 57


def _signed(world: LogWorld, *entries: bytes) -> tuple[bytes, Edge]:
    edge = Edge()
    edge.grow(list(entries))
    return sign_note(Checkpoint(world.signer.key.name, edge.size, edge.root).text, [world.signer]), edge


def test_a_witness_that_has_seen_a_larger_log_than_there_is_stops_a_rolled_back_one(
    world: LogWorld, town: Town
) -> None:
    larger, _ = _signed(world, *(b"%d" % number for number in range(9)))
    assert town.witness(0).add(AddCheckpoint(0, (), larger).raw).status == 200
    with pytest.raises(LogUnwitnessed) as caught:
        publish(world, town.ask(1, 1))
    assert "larger log" in str(caught.value.reasons[0].found)


def test_a_log_that_goes_on_without_a_witness_tells_of_what_that_one_saw(
    world: LogWorld, town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    town.behaviours[0] = lambda _: Answer(409, format_size(99), SIZE_TYPE)
    publish(world, town.ask(1, 1, WitnessFailure.OPEN))
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [line for line in errors if "witness.disagrees" in line and "witness-ahead" in line]


def test_a_split_view_is_refused_by_the_witness(world: LogWorld, town: Town) -> None:
    """The same key signed another history for somebody else; the witness saw that one first."""
    for entries in ([b"a", b"b", b"c"], [b"a"]):
        fork, _ = _signed(world, *entries)
        place = Town(town.folder / str(len(entries)), town.log, town.url)
        town.witnesses[0] = place.witness(0)
        assert town.witness(0).add(AddCheckpoint(0, (), fork).raw).status == 200
        with pytest.raises(LogUnwitnessed) as caught:
            publish(world, town.ask(1, 1))
        assert "another log" in str(caught.value.reasons[0].found)
        assert "checkpoint" not in world.bucket.files


def test_the_sandbox_s_witness_answers_as_the_specification_says(world: LogWorld, town: Town) -> None:
    witness = town.witness(0)
    first, _ = _signed(world, b"a")
    both, grown = _signed(world, b"a", b"b")
    other, _ = _signed(world, b"x", b"b")
    foreign = sign_note(Checkpoint("other.example", 2, grown.root).text, [world.signer])
    stolen = sign_note(Note.parse(both).text, [_renamed(world)])
    assert witness.add(b"nonsense").status == 400
    assert witness.add(AddCheckpoint(3, (), both).raw).status == 400
    assert witness.add(AddCheckpoint(0, (), foreign).raw).status == 404
    assert witness.add(AddCheckpoint(0, (), stolen).raw).status == 403
    assert witness.add(AddCheckpoint(1, (), first).raw) == Answer(409, b"0\n", "text/x.tlog.size")
    assert witness.add(AddCheckpoint(0, (), first).raw).status == 200
    assert witness.add(AddCheckpoint(0, (), both).raw) == Answer(409, b"1\n", "text/x.tlog.size")
    assert witness.add(AddCheckpoint(1, (), both).raw).status == 422
    proof = (_leaf(b"b"),)
    assert witness.add(AddCheckpoint(1, proof, other).raw).status == 422
    assert witness.add(AddCheckpoint(1, proof, both).raw).status == 200
    assert witness.add(AddCheckpoint(2, (), both).raw).status == 200, "signed again, later"
    assert witness.add(AddCheckpoint(2, (), other).raw).status == 409
    again = Town(town.folder, town.log).witness(0)
    assert again.add(AddCheckpoint(0, (), other).raw) == Answer(409, b"2\n", "text/x.tlog.size"), "it forgets nothing"


def _renamed(world: LogWorld) -> Ed25519Cosigner:
    return Ed25519Cosigner(world.signer.key.name, Ed25519PrivateKey.generate(), lambda: NOW)


def _leaf(entry: bytes) -> bytes:
    from tidegate.tlog.merkle import leaf_hash

    return leaf_hash(entry)


def test_a_witness_nobody_answers_for_is_one_that_failed(world: LogWorld, town: Town) -> None:
    listener = bind(0)
    nobody = f"http://{address(listener)}"
    listener.close()
    with httpx2.Client(timeout=1) as client:
        witnesses = Witnesses([(nobody, town.witness(0).key)], 1, WitnessFailure.OPEN, client=client)
        publish(world, witnesses)
    assert published(world, town, 0, 1).cosigned == {}
