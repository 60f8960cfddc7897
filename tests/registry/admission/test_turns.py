"""Many versions of one agent at once: those of one process take turns, those of replicas try again."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.attacks.admission import request_to_name
from tests.registry.admission.world import GateWorld
from tests.registry.world import wait_for
from tidegate.verify.trust import Trust
from tidegate_registry.admission.service import DecisionOvertaken, Patience, admit
from tidegate_registry.admission.turns import Turns


def test_one_agent_is_decided_about_once_at_a_time_and_others_do_not_wait() -> None:
    turns, order = Turns(seconds=20), list[str]()

    def second() -> None:
        with turns.of("acme/one") as held:
            order.append(f"second {held}")

    waiting = threading.Thread(target=second)
    with turns.of("acme/one") as held, turns.of("acme/other") as other:
        assert held
        assert other
        waiting.start()
        wait_for(lambda: turns._queues["acme/one"].users == 2)
        order.append("first")
    waiting.join(20)
    assert order == ["first", "second True"]
    assert len(turns) == 0, "an agent that nobody decides about is forgotten"


def test_who_has_waited_long_enough_goes_ahead_without_a_turn() -> None:
    turns = Turns(seconds=0)
    with turns.of("acme/one"):
        for _ in range(2):  # who had no turn ends nobody else's
            with turns.of("acme/one") as held:
                assert not held


def restless(world: GateWorld, changes: int) -> Callable[[], Trust]:
    """Trust that is another each time it is asked for, so often; as other replicas' releases would make it."""
    versions: Iterator[int] = itertools.count(1)

    def trust() -> Trust:
        charter = world.shop.charter.model_copy(update={"version": min(next(versions), changes)})
        return world.shop.trusting(charter)

    return trust


def test_a_decision_that_is_overtaken_again_and_again_is_made_in_the_end(gate_world: GateWorld) -> None:
    manifest = gate_world.prepare(gate_world.client())
    pauses = list[float]()
    admit(
        gate_world.services,
        restless(gate_world, changes=12),
        request_to_name(gate_world, manifest),
        Patience(attempts=10, longest_pause=0.25, sleep=pauses.append),
    )
    assert len(pauses) == 6
    assert len(set(pauses)) > 1, "replicas that meet fall out of step"
    assert all(0 <= pause <= 0.25 for pause in pauses)
    assert len(gate_world.data_of("release.admitted")) == 1


def test_no_attempt_begins_when_patience_is_over(gate_world: GateWorld) -> None:
    manifest = gate_world.prepare(gate_world.client())
    now = itertools.count(0.0, 4.0)
    pauses = list[float]()
    with pytest.raises(DecisionOvertaken) as caught:
        admit(
            gate_world.services,
            restless(gate_world, changes=99),
            request_to_name(gate_world, manifest),
            Patience(attempts=10, seconds=10, sleep=pauses.append, monotonic=lambda: next(now)),
        )
    assert caught.value.reasons[0].code == "decision-overtaken"
    assert len(pauses) == 2
