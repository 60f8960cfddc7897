"""What a decision rests on stays in force until it is written: a change waits for it, and it for a change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from tests.registry.policies.documents import policy, text
from tests.registry.policies.helpers import OPERATOR, Company
from tidegate_registry.policies.install import install


def test_nothing_comes_in_force_while_a_decision_holds_the_policy(company: Company) -> None:
    services = company.world.services
    held, done = Event(), Event()

    def decide() -> tuple[int, bool]:
        with services.db.begin() as tx:
            before = services.policies.current(tx, hold=True)
            held.set()
            changed = done.wait(0.3)  # long enough for a change that did not wait
            again = services.policies.current(tx, hold=True)
            assert before.company is not None
            assert again is before
            return before.company.number, changed

    def change() -> int:
        held.wait()
        version = install(services, OPERATOR, text(policy(description="new")), reason="meanwhile", recover=True)
        done.set()
        return version.number

    with ThreadPoolExecutor(2) as pool:
        decided, changed = pool.submit(decide), pool.submit(change)
        assert (decided.result(), changed.result()) == ((1, False), 2)
    with services.db.read() as tx:
        in_force = services.policies.current(tx).company
    assert in_force is not None
    assert in_force.number == 2
